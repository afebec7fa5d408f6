"""One training on two processes, started as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from skipgate_models import run

RECIPE = """
dataset = "python"
source = "own:dataset"
seed = 1
precision = "fp32"
[network]
name = "cifar/resnet14"
[stochastic_depth]
p_last = 0.5
[schedule]
epochs = 2
batch_size = 16
learning_rate = 0.05
warmup_epochs = 1
average = 0.9
fixed_statistics_epochs = {fixed}
[augmentation]
shift = 2
"""
TESTS = Path(__file__).parent


def train(folder: Path, *launcher: str) -> None:
    """Run `train` in a process of its own, or in those that `launcher` starts."""
    words = ["-m", "skipgate_models", "--threads", "1", "train", folder.parent / "recipe.toml", folder]
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    subprocess.run([sys.executable, *launcher, *map(str, words)], env={**os.environ, "PYTHONPATH": paths}, check=True)


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    # Statistics of a batch are those of a process's share of it, so only fixed ones are the same.
    (tmp_path / "recipe.toml").write_text(RECIPE.format(fixed=2))
    train(tmp_path / "one")
    train(tmp_path / "two", *TWO)
    one, two = (run.load_network(tmp_path / name, 10).state_dict() for name in ("one", "two"))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-4) for name in one)
    assert [row["loss"] for row in run.read_log(tmp_path / "one")] == [
        row["loss"] for row in run.read_log(tmp_path / "two")
    ]
