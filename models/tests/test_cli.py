"""The commands, as a user starts them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skipgate_models import cli, digits, run


def recipe(skipnet: bool) -> str:
    """Train a small network on the digits for one epoch."""
    text = (digits.FOLDER / "resnet20.toml").read_text()
    text = text.replace("epochs = 60", "epochs = 1").replace("cifar/resnet20", "cifar/resnet14")
    return (
        text.replace('[stochastic_depth]\np_last = 0.5\nrule = "linear"', '[skipnet]\ngate = "ffgate1"')
        if skipnet
        else text
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run one command to its end: exit code, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        code = 0
        try:
            cli.main([*map(str, words)])
        except SystemExit as stop:
            # A text is what Python itself prints and makes exit code 1 of.
            code = stop.code
            if isinstance(stop.code, str):
                code = 1
                print(stop.code, file=sys.stderr)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("skipnet", [False, True])
def test_a_network_is_trained_exported_evaluated_and_plotted(tmp_path: Path, command: Command, skipnet: bool) -> None:
    (tmp_path / "recipe.toml").write_text(recipe(skipnet))
    run = tmp_path / "run"
    trained = command("train", tmp_path / "recipe.toml", run)
    exported = command("export", run, tmp_path / "network.onnx")
    evaluated = command("evaluate", run, *([] if skipnet else ["--depths", "0", "--images", "100"]))
    plotted = command("plot", "log", tmp_path / "log.svg", run)
    assert [trained[0], exported[0], evaluated[0], plotted[0]] == [0, 0, 0, 0]
    assert "epoch 1, learning_rate" in trained[1]
    assert "of PyTorch on 64 test images" in exported[1]
    assert evaluated[1].startswith("| accuracy (%) |" if skipnet else "| blocks skipped |")
    assert (tmp_path / "network.onnx").exists()
    assert (tmp_path / "log.svg").exists()


SHARED = """
dataset = "python"
source = "own:dataset"
seed = 1
precision = "fp32"
[schedule]
epochs = 1
batch_size = 16
learning_rate = 0.05
average = 0.9
[network]
"""
TEACHER = SHARED + 'name = "wide/8-8-8"\n[augmentation]\nflip = true\n'
SKIPPABLE = SHARED + 'name = "cifar/resnet14"\n[distillation]\n[stochastic_depth]\np_lowest = 0.5\nscaling = "none"\n'
TUNED = SHARED + 'name = "cifar/resnet14"\n[distillation]\n[tuning]\nsmallest_every = 2\n'


def test_a_network_learns_from_a_teacher_and_is_tuned_on_its_front(tmp_path: Path, command: Command) -> None:
    for name, text in {"teacher": TEACHER, "skippable": SKIPPABLE, "tuned": TUNED}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    front = {"configurations": [{"mask": "111"}, {"mask": "010", "accuracy": 0.5}]}
    (tmp_path / "pareto.json").write_text(json.dumps(front))
    teacher, bank, skippable, tuned = (tmp_path / name for name in ("teacher", "bank", "skippable", "tuned"))
    results = [
        command("teacher", tmp_path / "teacher.toml", teacher, "--only", 1),
        command("teacher", tmp_path / "teacher.toml", teacher, "--networks", 1),
        command("bank", teacher, bank, "--views", 2),
        command("train", tmp_path / "skippable.toml", skippable, "--bank", bank),
        command(
            "tune",
            *(tmp_path / "tuned.toml", tuned, "--front", tmp_path / "pareto.json"),
            *("--bank", bank, "--initial", skippable),
        ),
        command("plot", "log", tmp_path / "log.svg", teacher / "1", skippable, tuned),
    ]
    assert [code for code, _, _ in results] == [0] * 6
    assert "of the test images by 1 networks" in results[1][1]
    assert run.load_config(tuned).tuning.masks == ("111", "010")
    assert (tmp_path / "log.svg").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "missing.toml", "run"], 1, "error: [Errno 2] No such file or directory: 'missing.toml'"),
        (["train", digits.FOLDER.parent / "cifar10/resnet20.toml", "run"], 1, "name its folder with `--data`"),
        (["train", digits.FOLDER / "resnet20.toml", "run", "--bank", "bank"], 1, "the recipe has no [distillation]"),
        (["tune", digits.FOLDER / "resnet20.toml", "run", "--front", "x.json"], 1, "the recipe has no [tuning]"),
        (["bank", "no-teacher", "bank"], 1, "no-teacher: there is no teacher"),
        (["export", "no-run", "x.onnx"], 1, "no-run/checkpoint.pt: there is no checkpoint"),
        (["plot", "log", "x.svg", "no-run"], 1, "no-run/log.csv: there is no log"),
        (["evaluate", "run", "--depths", "x"], 2, "invalid _numbers value"),
        ([], 2, "the following arguments are required"),
    ],
)
def test_a_failure_is_one_line(command: Command, words: list[object], code: int, message: str) -> None:
    found, output, errors = command(*words)
    assert (found, output) == (code, "")
    assert message in errors.splitlines()[-1]


@pytest.mark.skipif("SKIPGATE_PROGRAM" not in os.environ, reason="`cargo xtask test` says where skipgate is")
@pytest.mark.parametrize("skipnet", [False, True])
def test_an_artifact_is_verified(tmp_path: Path, command: Command, skipnet: bool) -> None:
    program = os.environ["SKIPGATE_PROGRAM"]
    run, model, artifact = (tmp_path / name for name in ("run", "network.onnx", "artifact"))
    (tmp_path / "recipe.toml").write_text(recipe(skipnet))
    command("train", tmp_path / "recipe.toml", run)
    command("export", run, model)
    subprocess.run(
        [program, "compile", model, "--output", artifact, *(["--ungated"] if skipnet else [])],
        capture_output=True,
        check=True,
    )
    words = ["verify", run, artifact, "--program", program, "--images", 50, *([] if skipnet else ["--mask", "101"])]
    code, output, _ = command(*words)
    assert code == 0
    assert "100.0 % of 50 images in the same class" in output
    code, _, errors = command("verify", run, tmp_path, "--program", program)
    assert code == 1
    assert f"{program} cannot run {tmp_path}: error" in errors
