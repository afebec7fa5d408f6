"""The commands, as a user starts them."""

import subprocess
import sys
from pathlib import Path

import pytest

from skipgate_models import digits

RECIPE = (digits.FOLDER / "resnet20.toml").read_text()


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    words = [sys.executable, "-m", "skipgate_models", "--threads", "1", *map(str, arguments)]
    package = Path(__file__).parents[1]
    return subprocess.run(words, capture_output=True, text=True, cwd=package, check=False)


@pytest.mark.parametrize("skipnet", [False, True])
def test_a_network_is_trained_exported_evaluated_and_plotted(tmp_path: Path, skipnet: bool) -> None:
    recipe = RECIPE.replace("epochs = 60", "epochs = 1").replace("cifar/resnet20", "cifar/resnet8")
    recipe = recipe.replace("resnet8", "resnet14") if skipnet else recipe
    recipe = recipe.replace("[stochastic_depth]\np_last = 0.5", '[skipnet]\ngate = "ffgate1"') if skipnet else recipe
    (tmp_path / "recipe.toml").write_text(recipe)
    run = tmp_path / "run"
    outputs = [
        command("train", tmp_path / "recipe.toml", run),
        command("export", run, tmp_path / "network.onnx"),
        command("evaluate", run, *([] if skipnet else ["--depths", "0", "--images", "100"])),
        command("plot", "log", tmp_path / "log.svg", run),
    ]
    assert [(output.returncode, output.stderr) for output in outputs] == [(0, "")] * 4
    assert "of PyTorch on 64 test images" in outputs[1].stdout
    assert outputs[2].stdout.startswith("| accuracy (%) |" if skipnet else "| blocks skipped |")
    assert (tmp_path / "network.onnx").exists()
    assert (tmp_path / "log.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "missing.toml", "run"], 1, "error: [Errno 2] No such file or directory: 'missing.toml'"),
        (["train", "cifar10/resnet20.toml", "run"], 1, "name its folder with `--data`"),
        (["export", "no-run", "x.onnx"], 1, "no-run/checkpoint.pt: there is no checkpoint"),
        (["plot", "log", "x.svg", "no-run"], 1, "no-run/log.csv: there is no log"),
        (["evaluate", "run", "--depths", "x"], 2, "invalid _counts value"),
        ([], 2, "the following arguments are required"),
    ],
)
def test_a_failure_is_one_line(arguments: list[str], code: int, message: str) -> None:
    output = command(*arguments)
    assert output.returncode == code
    assert message in output.stderr
    assert "Traceback" not in output.stderr
