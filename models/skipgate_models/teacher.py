"""A teacher: one network or a few that differ by their seed, whose mean logits others learn from.

The folder of a teacher holds one run folder per network: `1`, `2`, ...
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import torch

from skipgate_models import run
from skipgate_models.config import Config
from skipgate_models.data import Dataset
from skipgate_models.evaluate import BATCH
from skipgate_models.gated import GatedNetwork
from skipgate_models.networks import CHECKPOINT
from skipgate_models.train import train


def train_teacher(config: Config, dataset: Dataset, folder: Path, numbers: Iterable[int], device: torch.device) -> None:
    """Train the networks of these numbers, from 1, one after the other, from where an earlier call left off."""
    for number in numbers:
        member = dataclasses.replace(config, seed=config.seed + number - 1)
        train(member, dataset, folder / str(number), device)


def runs(folder: Path) -> list[Path]:
    """Run folders of the teacher's networks; a run folder by itself is a teacher of one network."""
    if (folder / CHECKPOINT).exists():
        return [folder]
    found = sorted((path for path in folder.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))
    if not found:
        raise ValueError(f"{folder}: there is no teacher; make one with `teacher RECIPE {folder}`")
    return found


def load(folder: Path, classes: int) -> list[GatedNetwork]:
    """Read the teacher's networks in eval mode; `ValueError` if one is not trained to its end."""
    networks = []
    for path in runs(folder):
        epochs = run.load_config(path).schedule.epochs
        finished = len(run.read_log(path))
        if finished < epochs:
            raise ValueError(f"{path}: {finished} of {epochs} epochs are done; let `teacher` finish them")
        network = run.load_network(path, classes)
        if not isinstance(network, GatedNetwork):
            raise ValueError(f"{path}: a SkipNet cannot be a teacher")
        networks.append(network)
    return networks


def accuracy(networks: list[GatedNetwork], dataset: Dataset) -> float:
    """Top-1 accuracy of the mean logits on the test part in percent."""
    correct = 0
    with torch.inference_mode():
        for index in torch.arange(len(dataset.test)).split(BATCH):
            images = dataset.preprocessing(dataset.test.images[index])
            logits = torch.stack([network(images) for network in networks]).mean(0)
            correct += int((logits.argmax(1) == dataset.test.labels[index]).sum())
    return 100 * correct / len(dataset.test)
