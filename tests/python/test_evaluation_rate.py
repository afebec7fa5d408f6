"""Evaluations per second are those of the same evaluations."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "digits" / "resnet20.onnx"


@pytest.fixture
def program() -> Path:
    return Path(os.environ.get("SKIPGATE_PROGRAM", ROOT / "target" / "debug" / "skipgate"))


def test_skipgate_and_onnx_runtime_do_the_same_evaluations(tmp_path: Path, program: Path) -> None:
    gated, artifact = tmp_path / "gated.onnx", tmp_path / "host"
    for words in (["gate", MODEL, "-o", gated], ["compile", MODEL, "-o", artifact]):
        subprocess.run(list(map(str, [program, *words])), check=True, capture_output=True)
    words = [sys.executable, Path(__file__).with_name("evaluation_rate.py"), gated, artifact, "--program", program]
    words += ["--data", "digits", "--images", 100, "--rounds", 1]
    printed = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout
    result = json.loads(printed)
    assert result["evaluations"] == 6 * 100
    assert result["images_per_second"].keys() == {"skipgate", "onnxruntime_batch_1", "onnxruntime_batch_50"}
    assert all(rate > 0 for rate in result["images_per_second"].values())
