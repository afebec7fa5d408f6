"""The exponential moving average of a network's weights over the steps of its training, which is what gets tested."""

import copy
from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def start(network: N) -> N:
    """Copy `network` as the average of one step."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, decay: float, steps: int) -> None:
    """Move `average` towards `network` after its step number `steps`, counted from 1; `decay` is what it keeps.

    The first steps count less than `decay` says: otherwise the weights before training would stay in for long.
    """
    share = 1 - min(decay, steps / (steps + 10))
    averages, values = average.state_dict().values(), network.state_dict().values()
    floating = [(old, new) for old, new in zip(averages, values, strict=True) if old.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in floating], [new for _, new in floating], share)


def copy_statistics(source: nn.Module, target: nn.Module) -> None:
    """Give `target` the statistics of BatchNormalization of `source`, a network of the same form."""
    target.load_state_dict({**target.state_dict(), **dict(source.named_buffers())})
