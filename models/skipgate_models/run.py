"""A run folder: the state of one training, from which it resumes and from which a network is exported.

`checkpoint.pt` holds config, weights, optimiser and random state after the last finished epoch and is replaced as a
whole; `log.csv` has one row per epoch.
"""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator
from torch.optim import SGD

from skipgate_models.config import Config, from_table
from skipgate_models.files import replacing
from skipgate_models.resnet import ResNet

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"

Row = dict[str, int | str | None]


@dataclass
class State:
    """Everything that changes while a network is trained."""

    network: ResNet
    optimizer: SGD
    generator: Generator
    log: list[Row]

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.log)


def build(config: Config, classes: int) -> ResNet:
    """Make the network of `config` with new weights from the global random state."""
    network = config.network
    return ResNet(network.depth, classes, shortcut=network.shortcut, preactivation=network.preactivation)


def start(config: Config, classes: int) -> State:
    """State before the first epoch."""
    torch.manual_seed(config.seed)
    network = build(config, classes).to(memory_format=torch.channels_last)
    if config.network.start_as_identity:
        network.start_as_identity()
    schedule = config.schedule
    optimizer = SGD(
        network.parameters(),
        lr=schedule.learning_rate,
        momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
        nesterov=True,
    )
    return State(network, optimizer, Generator().manual_seed(config.seed), [])


def save(folder: Path, config: Config, state: State) -> None:
    """Write checkpoint and log."""
    checkpoint = {
        "config": asdict(config),
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "log": state.log,
    }
    with replacing(folder / LOG) as temporary:
        _write_csv(temporary, state.log)
    with replacing(folder / CHECKPOINT) as temporary:
        torch.save(checkpoint, temporary)


def resume(folder: Path, config: Config, classes: int) -> State:
    """State after the last finished epoch in `folder`; a new state if there is none."""
    state = start(config, classes)
    if not (folder / CHECKPOINT).exists():
        return state
    checkpoint = _load(folder)
    if from_table(checkpoint["config"], str(folder)) != config:
        raise ValueError(f"{folder}: holds a run with another config; give another folder or delete it")
    state.network.load_state_dict(checkpoint["network"])
    state.optimizer.load_state_dict(checkpoint["optimizer"])
    state.generator.set_state(checkpoint["generator"])
    state.log.extend(checkpoint["log"])
    return state


def load_network(folder: Path, classes: int) -> ResNet:
    """Read the trained network in eval mode."""
    network = build(load_config(folder), classes)
    network.load_state_dict(_load(folder)["network"])
    return network.eval()


def load_config(folder: Path) -> Config:
    """Read the config with which the run in `folder` was started."""
    return from_table(_load(folder)["config"], str(folder))


def _load(folder: Path) -> dict[str, Any]:
    path = folder / CHECKPOINT
    if not path.exists():
        raise ValueError(f"{path}: there is no checkpoint; make one with `train CONFIG {folder}`")
    return torch.load(path, weights_only=True)


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
