"""Data sets, and what happens to an image before it enters a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from skipgate_models import cifar, digits, folder, own
from skipgate_models.config import Config


class Images(Protocol):
    """Images `uint8 [N, 3, H, W]`, in memory (a tensor) or read when they are asked for."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: Tensor) -> Tensor:
        """Give the images at the positions in `index`."""


@dataclass(frozen=True)
class Part:
    """Images and labels (`int64 [N]`)."""

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def slice(self, start: int, stop: int) -> "Part":
        """Return the images from `start` up to `stop`, or to the last one, in memory."""
        index = torch.arange(min(start, len(self)), min(stop, len(self)))
        return Part(self.images[index], self.labels[index])


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
        """From `uint8 [N, 3, H, W]` to the network's input, on the same device."""
        mean = torch.tensor(self.mean, device=images.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(-1, 1, 1)
        return (images.float() / 255 - mean) / std


@dataclass(frozen=True)
class Dataset:
    """Everything a network needs to know of its data."""

    train: Part
    test: Part
    class_names: tuple[str, ...]
    preprocessing: Preprocessing


# Mean and deviation of the training part over the 0..1 scale, rounded. ImageNet's are those that the weights of
# torchvision and timm were trained with.
_DIGITS = Preprocessing("rgb", "stretch", mean=(0.306,) * 3, std=(0.324,) * 3)
_CIFAR10 = Preprocessing("rgb", "stretch", mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))
_CIFAR100 = Preprocessing("rgb", "stretch", mean=(0.507, 0.487, 0.441), std=(0.267, 0.256, 0.276))
_IMAGENET = Preprocessing("rgb", "stretch", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def load(config: Config, root: Path | None) -> Dataset:
    """Load the data set of `config`; `root` is the folder that holds it (the digits are part of the package)."""
    if config.dataset == "digits":
        return _digits()
    if config.dataset == "python":
        return own.function(config.source)()
    if root is None:
        raise ValueError(f"the data set {config.dataset} is not part of skipgate; name its folder with `--data`")
    if config.dataset == "folder":
        parts = [folder.read(path, config.image_size) for path in folder.parts(root)]
        (train, class_names), (test, test_names) = parts
        if class_names != test_names:
            raise ValueError(f"{root}: the parts have different classes: {class_names} and {test_names}")
        return Dataset(Part(*train), Part(*test), class_names, _IMAGENET)
    reader, preprocessing = {"cifar10": (cifar.CIFAR10, _CIFAR10), "cifar100": (cifar.CIFAR100, _CIFAR100)}[
        config.dataset
    ]
    train, test = (Part(*reader.read(root, part)) for part in ("train", "test"))
    return Dataset(train, test, reader.class_names(root), preprocessing)


def _digits() -> Dataset:
    """Grey images, repeated to the three channels of a network made for colour."""

    def part(name: str) -> Part:
        images, labels = digits.read(digits.FOLDER, name)
        grey = torch.from_numpy(images.copy())[:, None]
        return Part(grey.expand(-1, 3, -1, -1), torch.from_numpy(labels.copy()).long())

    return Dataset(part("train"), part("test"), tuple("0123456789"), _DIGITS)
