"""What the tests share: a small recipe, a few of the digits, one thread."""

import dataclasses

import pytest
import torch

from skipgate_models import data
from skipgate_models.config import Augmentation, Config, Network, Schedule, StochasticDepth
from skipgate_models.data import Dataset
from skipgate_models.resnet import ResNet

SMALL = Config(
    dataset="digits",
    seed=3,
    precision="fp32",
    network=Network("cifar/resnet14"),
    schedule=Schedule(
        epochs=3, batch_size=16, learning_rate=0.05, warmup_epochs=1, fixed_statistics_epochs=1, evaluate_every=3
    ),
    stochastic_depth=StochasticDepth(0.5),
    augmentation=Augmentation(shift=2),
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def small() -> Dataset:
    """Give a few of the digits."""
    whole = data.load(SMALL, None)
    return dataclasses.replace(whole, train=whole.train.slice(0, 48), test=whole.test.slice(0, 48))


def resnet(depth: int = 14, **options: object) -> ResNet:
    """Network in eval mode whose BatchNormalization has something to compute."""
    torch.manual_seed(0)
    made = ResNet(depth, 10, **options)
    with torch.no_grad():
        made(torch.randn(8, 3, 32, 32))
    return made.eval()
