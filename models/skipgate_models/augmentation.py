"""Shuffled batches of randomly changed images."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional

from skipgate_models.config import Augmentation
from skipgate_models.data import Part


def batches(part: Part, size: int, augmentation: Augmentation, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled, augmented batches; the last ones may be smaller by one image."""
    order = torch.randperm(len(part), generator=generator)
    for index in order.tensor_split(batch_count(part, size)):
        images = random_shift(part.images[index], augmentation.shift, generator)
        yield random_flip(images, generator) if augmentation.flip else images, part.labels[index]


def batch_count(part: Part, size: int) -> int:
    """Batches in an epoch."""
    return -(-len(part) // size)


def random_shift(images: Tensor, limit: int, generator: Generator) -> Tensor:
    """Shift every image by up to `limit` pixels in both directions; what moves in is 0."""
    if limit == 0:
        return images
    count, _, height, width = images.shape
    padded = functional.pad(images, (limit,) * 4)
    top, left = torch.randint(2 * limit + 1, (2, count, 1), generator=generator)
    rows = (top + torch.arange(height))[:, :, None]
    columns = (left + torch.arange(width))[:, None, :]
    pixels = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns]
    return pixels.permute(0, 3, 1, 2)


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror every second image, on average, left to right."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
