"""MLPerf's LoadGen on the Python interface: every scenario runs, and what it says is right."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("loadgen.py")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the Python interface of the wheel."""
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(os.environ["SKIPGATE_WHEEL"]) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the digits ResNet-20 with a front of two configurations."""
    folder = tmp_path_factory.mktemp("loadgen") / "digits"
    program = os.environ["SKIPGATE_PROGRAM"]
    subprocess.run([program, "compile", ROOT / "models/digits/resnet20.onnx", "-o", folder], check=True)
    front = [{"mask": "101111", "accuracy": 0.98}, {"mask": "000010", "accuracy": 0.97}]
    (folder / "pareto.json").write_text(json.dumps({"configurations": front}))
    return folder


@pytest.mark.parametrize(
    ("scenario", "adapt"),
    [("single-stream", False), ("multi-stream", False), ("offline", False), ("server", False), ("server", True)],
)
def test_each_scenario_runs_and_is_as_accurate_as_the_network(
    package: Path, artifact: Path, scenario: str, *, adapt: bool
) -> None:
    # A bound that holds on a machine that is busy with other tests.
    words = [SCRIPT, "run", scenario, artifact, "--seconds", 0.5, "--rate", 400, "--bound-ms", 1000]
    words += ["--queries", 100 if scenario == "multi-stream" else 700]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (package, ROOT / "models")))}
    command = [sys.executable, *map(str, words), *(["--adapt"] if adapt else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    # The network with all blocks has 98.9 % on all images, with one block 96.4 % or more.
    assert result["accuracy"] > 0.95
    assert result["logged_accuracy"] > 0.95
    names = {"0", "1"} if adapt else {"all blocks"}
    assert set(result["configurations"]) <= names
    assert sum(result["configurations"].values()) == result["answers"]
    if scenario == "server":
        assert result["valid"]
        assert 200 < result["samples_per_second"] < 800
        assert result["p99_us"] < 1e6
