"""Data sets as tensors, and what happens to an image before it enters a network."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from skipgate_models import digits


@dataclass(frozen=True)
class Part:
    """Images `uint8 [N, 3, H, W]` and labels `int64 [N]`."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Preprocessing:
    """After division by 255, `mean` is subtracted from each channel and the result divided by `std`.

    Written into exported models; the fields are those of `preprocessing` in an artifact's manifest.
    """

    color: str
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """From `uint8 [N, 3, H, W]` to the network's input."""
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return (images.float() / 255 - mean) / std


@dataclass(frozen=True)
class Dataset:
    """Everything a network needs to know of its data."""

    train: Part
    test: Part
    class_names: tuple[str, ...]
    preprocessing: Preprocessing


def load(name: str) -> Dataset:
    """Load the data set `name`."""
    return {"digits": _digits}[name]()


def batches(part: Part, size: int, generator: Generator, *, shift: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled, augmented batches; the last ones may be smaller by one image."""
    order = torch.randperm(len(part.labels), generator=generator)
    for index in order.tensor_split(-(-len(order) // size)):
        yield random_shift(part.images[index], shift, generator), part.labels[index]


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


def _digits() -> Dataset:
    """Grey images, repeated to the three channels of a network made for colour."""

    def part(name: str) -> Part:
        images, labels = digits.read(digits.FOLDER, name)
        grey = torch.from_numpy(images.copy())[:, None]
        return Part(grey.expand(-1, 3, -1, -1), torch.from_numpy(labels.copy()).long())

    # Mean and deviation of the training part, rounded.
    preprocessing = Preprocessing("rgb", "bilinear", mean=(0.306,) * 3, std=(0.324,) * 3)
    return Dataset(part("train"), part("test"), tuple("0123456789"), preprocessing)
