"""One training on several processes, as `torchrun` starts them.

All processes draw the same random numbers: the same order of the images, the same changes to them and the same masks.
Each takes its share of every batch. A dropped block has no gradient on any of them, so gradients are averaged over
those there are, without a wrapper around the network that would have to look for unused parameters.
"""

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


def start(device: torch.device) -> torch.device:
    """Join the other processes, if `torchrun` started this one, and return the device of this process."""
    if "WORLD_SIZE" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def stop() -> None:
    """Leave the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def shard() -> slice:
    """Return what this process takes of every batch."""
    if not distributed.is_initialized():
        return slice(None)
    return slice(distributed.get_rank(), None, distributed.get_world_size())


def average_gradients(network: nn.Module) -> None:
    """Replace each gradient by its mean over the processes."""
    average(parameter.grad for parameter in network.parameters() if parameter.grad is not None)


def average_statistics(network: nn.Module) -> None:
    """Replace BatchNormalization's statistics by their means over the processes, each of which collected its own."""
    average(buffer for buffer in network.buffers() if buffer.is_floating_point())


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors, the same ones in every process, by their means over the processes."""
    values = list(tensors)
    if not values or not distributed.is_initialized():
        return
    flat = torch.cat([value.flatten() for value in values])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for value, mean in zip(values, flat.split([value.numel() for value in values]), strict=True):
        value.copy_(mean.view_as(value))
