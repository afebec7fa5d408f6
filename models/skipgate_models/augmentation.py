"""Shuffled batches of randomly shifted and mirrored images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from skipgate_models.config import Augmentation, Padding
from skipgate_models.data import Part

# How `functional.pad` calls what moves in at the borders.
PADDING_MODES: dict[Padding, str] = {"zero": "constant", "reflect": "reflect"}


@dataclass(frozen=True)
class Views:
    """How each of N images is changed, and what a teacher says of the result.

    `shifts` (`int64 [N, 2]`) are pixels from the top and from the left, `mirrored` (`bool [N]`) swaps left and right,
    and `logits` (`f32 [N, classes]`) are the teacher's, if there is one.
    """

    shifts: Tensor
    mirrored: Tensor
    padding: Padding
    logits: Tensor | None = None

    def __getitem__(self, index: slice | Tensor) -> "Views":
        """Return the views of the images at these positions."""
        logits = None if self.logits is None else self.logits[index]
        return Views(self.shifts[index], self.mirrored[index], self.padding, logits)

    def apply(self, images: Tensor) -> Tensor:
        """Change the images `uint8 [N, 3, H, W]`."""
        shifted = shift(images, self.shifts, self.padding)
        return torch.where(self.mirrored[:, None, None, None], shifted.flip(3), shifted)


# Views of the images at the given positions of a part.
ViewsOf = Callable[[Tensor], Views]


@dataclass(frozen=True)
class Batch:
    """Changed images (`uint8 [N, 3, H, W]`), labels (`int64 [N]`) and the teacher's logits, if there is a teacher."""

    images: Tensor
    labels: Tensor
    logits: Tensor | None


def random_views(augmentation: Augmentation, generator: Generator) -> ViewsOf:
    """Draw a new view of every image."""

    def draw(index: Tensor) -> Views:
        limit, count = augmentation.shift, len(index)
        shifts = torch.randint(-limit, limit + 1, (count, 2), generator=generator)
        mirrored = torch.rand(count, generator=generator) < 0.5
        return Views(shifts, mirrored & augmentation.flip, augmentation.padding)

    return draw


def batches(
    part: Part, size: int, views_of: ViewsOf, generator: Generator, shard: slice = slice(None)
) -> Iterator[Batch]:
    """One epoch of shuffled, changed batches; the last ones may be smaller by one image.

    `shard` picks what one of several processes takes of each batch. All of them draw the same, so that together they
    train on the batches of a single process.
    """
    order = torch.randperm(len(part), generator=generator)
    for whole in order.tensor_split(batch_count(part, size)):
        index, views = whole[shard], views_of(whole)[shard]
        yield Batch(views.apply(part.images[index]), part.labels[index], views.logits)


def batch_count(part: Part, size: int) -> int:
    """Batches in an epoch."""
    return -(-len(part) // size)


def shift(images: Tensor, shifts: Tensor, padding: Padding) -> Tensor:
    """Cut every image `[N, C, H, W]` out that many pixels (`[N, 2]`) further down and right; the border is padded."""
    limit = int(shifts.abs().max())
    if limit == 0:
        return images
    count, _, height, width = images.shape
    # Only floating point can be padded by reflection.
    padded = functional.pad(images.float(), (limit,) * 4, mode=PADDING_MODES[padding]).to(images.dtype)
    top, left = (shifts + limit).unbind(1)
    rows = (top[:, None] + torch.arange(height))[:, :, None]
    columns = (left[:, None] + torch.arange(width))[:, None, :]
    pixels = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns]
    return pixels.permute(0, 3, 1, 2)
