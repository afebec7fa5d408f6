"""A pretrained network becomes skippable in a few epochs, by learning from itself.

Blocks are dropped with a probability that is drawn anew for every batch, and what is left learns to say what the whole
network said before. Nothing but images like those that it was trained on is needed, and no recipe.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from skipgate_models.config import (
    Augmentation,
    Config,
    DatasetName,
    Distillation,
    Network,
    Precision,
    Schedule,
    StochasticDepth,
)
from skipgate_models.data import Dataset
from skipgate_models.evaluate import accuracies
from skipgate_models.export import describe, export
from skipgate_models.gated import GatedNetwork
from skipgate_models.run import load_network
from skipgate_models.train import find_teacher, train

MODEL = "network.onnx"
# Test images on which the exported network is compared with PyTorch's.
CHECKED_IMAGES = 16


@dataclass(frozen=True)
class Adaptation:
    """What to adapt, and how; names are those of a recipe.

    `weights` is a file, or nothing for the weights that the network comes with. `keep` is the lowest probability that
    a block is kept. The learning rate is a tenth of what networks are commonly trained with, or less.
    """

    network: str
    dataset: DatasetName
    source: str = ""
    weights: str = ""
    image_size: int = 224
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 0.01
    keep: float = 0.25
    precision: Precision = "fp32"
    shift: int = 4
    flip: bool = True
    seed: int = 1


def recipe(wanted: Adaptation) -> Config:
    """Make the recipe of an adaptation."""
    return Config(
        dataset=wanted.dataset,
        source=wanted.source,
        image_size=wanted.image_size,
        seed=wanted.seed,
        precision=wanted.precision,
        network=Network(wanted.network, initial=wanted.weights, pretrained=not wanted.weights),
        schedule=Schedule(
            epochs=wanted.epochs,
            batch_size=wanted.batch_size,
            learning_rate=wanted.learning_rate,
            warmup_epochs=0.2,
            decay="linear",
            fixed_statistics_epochs=math.ceil(wanted.epochs / 3),
            clip_gradient=1.0,
            average=0.99,
            evaluate_every=wanted.epochs,
        ),
        stochastic_depth=StochasticDepth(p_lowest=wanted.keep, whole=0.3, ramp=0.25, scaling="none"),
        augmentation=Augmentation(wanted.shift, wanted.flip, "reflect"),
        distillation=Distillation(teacher="itself"),
    )


def adapt(config: Config, dataset: Dataset, folder: Path, device: torch.device) -> str:
    """Train in the run folder, from where an earlier call left off, export, and return a table of accuracies."""
    train(config, dataset, folder, device)
    before = find_teacher(config, dataset, device)
    after = load_network(folder, len(dataset.class_names))
    images = dataset.preprocessing(dataset.test.slice(0, CHECKED_IMAGES).images)
    export(after, images, folder / MODEL, metadata=describe(dataset))
    return _table({"before": before, "after": after.to(device)}, dataset)


def _table(networks: dict[str, GatedNetwork], dataset: Dataset) -> str:
    """Markdown: test accuracies with all blocks, with every second one skipped and with all of them skipped."""
    rows = ["| network | all blocks | every second skipped | all skipped |", "|---|---|---|---|"]
    for name, network in networks.items():
        gates = network.gates()
        tried = [[True] * gates, [gate % 2 == 0 for gate in range(gates)], [False] * gates]
        measured = accuracies(network, dataset.test, dataset.preprocessing, tried)
        rows.append(f"| {name} | " + " | ".join(f"{accuracy:.2f}" for accuracy in measured) + " |")
    return "\n".join(rows)
