"""A run folder: the state of one training, from which it resumes and from which a network is exported.

`checkpoint.pt` holds config, weights, optimiser and random state after the last finished epoch and is replaced as a
whole; `log.csv` has one row per epoch.
"""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, nn
from torch.optim import SGD

from skipgate_models import average, networks
from skipgate_models.config import Config, Schedule, from_table
from skipgate_models.files import replacing
from skipgate_models.gated import GatedNetwork
from skipgate_models.networks import CHECKPOINT
from skipgate_models.skipnet import SkipNet
from skipgate_models.stochastic_depth import keep_probabilities

LOG = "log.csv"

Row = dict[str, int | str | None]


@dataclass
class State:
    """Everything that changes while a network is trained."""

    network: GatedNetwork | SkipNet
    optimizer: SGD
    generator: Generator
    log: list[Row]
    # Moving average of the weights, from the first step on, and the number of its steps.
    average: GatedNetwork | SkipNet | None = None
    steps: int = 0

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.log)

    @property
    def tested(self) -> GatedNetwork | SkipNet:
        """The network that is tested and exported."""
        return self.network if self.average is None else self.average


def start(config: Config, classes: int, device: torch.device) -> State:
    """State before the first epoch."""
    torch.manual_seed(config.seed)
    network = networks.start(config, classes).to(device, memory_format=torch.channels_last)
    return State(network, _optimizer(network, config.schedule), Generator().manual_seed(config.seed), [])


def _optimizer(network: nn.Module, schedule: Schedule) -> SGD:
    """SGD over filters and all other parameters; `rate` of a group multiplies the learning rate of the schedule."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rest = {"rate": schedule.bias_rate} | ({"weight_decay": 0.0} if schedule.decay_filters_only else {})
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "rate": 1.0},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], **rest},
    ]
    return SGD(
        groups,
        lr=schedule.learning_rate,
        momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
        nesterov=True,
    )


def save(folder: Path, config: Config, state: State) -> None:
    """Write checkpoint and log."""
    checkpoint = {
        "config": asdict(config),
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "log": state.log,
        "average": None if state.average is None else state.average.state_dict(),
        "steps": state.steps,
    }
    with replacing(folder / LOG) as temporary:
        _write_csv(temporary, state.log)
    with replacing(folder / CHECKPOINT) as temporary:
        torch.save(checkpoint, temporary)


def resume(folder: Path, config: Config, classes: int, device: torch.device) -> State:
    """State after the last finished epoch in `folder`; a new state if there is none."""
    state = start(config, classes, device)
    if not (folder / CHECKPOINT).exists():
        return state
    checkpoint = _load(folder)
    if from_table(checkpoint["config"], str(folder)) != config:
        raise ValueError(f"{folder}: holds a run with another config; give another folder or delete it")
    state.network.load_state_dict(checkpoint["network"])
    state.optimizer.load_state_dict(checkpoint["optimizer"])
    state.generator.set_state(checkpoint["generator"])
    state.log.extend(checkpoint["log"])
    if checkpoint.get("average"):
        state.average = average.start(state.network)
        state.average.load_state_dict(checkpoint["average"])
        state.steps = checkpoint["steps"]
    return state


def load_network(folder: Path, classes: int) -> GatedNetwork | SkipNet:
    """Read the trained network in eval mode, with residuals scaled as they are at test time."""
    config = load_config(folder)
    network = networks.build(config, classes)
    network.load_state_dict(networks.read_weights(folder))
    depth = config.stochastic_depth
    if depth.scaling == "test" and isinstance(network, GatedNetwork):
        network.scale_residuals(keep_probabilities(network.skippable(), depth))
    return network.eval()


def load_config(folder: Path) -> Config:
    """Read the config with which the run in `folder` was started."""
    return from_table(_load(folder)["config"], str(folder))


def read_log(folder: Path) -> list[dict[str, str]]:
    """Read the rows of the log; `ValueError` if there is none."""
    path = folder / LOG
    if not path.exists():
        raise ValueError(f"{path}: there is no log; make one with `train CONFIG {folder}`")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _load(folder: Path) -> dict[str, Any]:
    path = folder / CHECKPOINT
    if not path.exists():
        raise ValueError(f"{path}: there is no checkpoint; make one with `train CONFIG {folder}`")
    return torch.load(path, weights_only=True, map_location="cpu")


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
