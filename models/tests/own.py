"""What a user would bring along: a residual network of his own, and data of his own."""

import torch
from torch import Tensor, nn

from skipgate_models import data
from skipgate_models.config import Config, Network, Schedule
from skipgate_models.data import Dataset

CHANNELS = (8, 16)
BLOCKS = 3


class Unit(nn.Module):
    """Residual block with names that no library uses; squeezes its residual's channels in the end."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Halve the resolution if the number of channels changes."""
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.way_around = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)
        self.body = nn.ModuleDict(
            {
                "first": nn.Conv2d(inputs, outputs, 3, stride, 1),
                "norm": nn.BatchNorm2d(outputs),
                "last": nn.Conv2d(outputs, outputs, 3, 1, 1),
            }
        )
        self.after = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """From `[N, inputs, H, W]` to `[N, outputs, H, W]` or half of it."""
        hidden = self.body["norm"](self.body["first"](x)).relu()
        return self.after(self.way_around(x) + self.body["last"](hidden))


def network() -> nn.Module:
    """Make a network with one strided block and two gates in each of its two stages."""
    torch.manual_seed(0)
    inputs = (3, *CHANNELS[:-1])
    stages = [
        nn.Sequential(*(Unit(before if index == 0 else after, after) for index in range(BLOCKS)))
        for before, after in zip(inputs, CHANNELS, strict=True)
    ]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10))


def dataset() -> Dataset:
    """Give a few of the digits."""
    recipe = Config("digits", 0, "fp32", Network(""), Schedule(1, 1, 1))
    whole = data.load(recipe, None)
    return Dataset(whole.train.slice(0, 64), whole.test.slice(0, 64), whole.class_names, whole.preprocessing)
