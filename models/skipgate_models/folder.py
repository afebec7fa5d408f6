"""Folders of images: `train/CLASS/FILE`, and `val` or `test` beside `train`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# As in most recipes for ImageNet: the shorter side is this much longer than what is cut out of the middle.
MARGIN = 256 / 224
TEST_NAMES = ("val", "test")


class ImageFiles:
    """Images that are read, resized and cropped when they are asked for."""

    def __init__(self, files: list[Path], size: int) -> None:
        """Images of `size` x `size` pixels."""
        self.files = files
        self.size = size
        self._threads = ThreadPoolExecutor()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def __getitem__(self, index: Tensor) -> Tensor:
        """Give the images at the positions in `index`, `uint8 [N, 3, size, size]`."""
        return torch.stack(list(self._threads.map(self._read, index.tolist())))

    def _read(self, index: int) -> Tensor:
        path = self.files[index]
        try:
            with Image.open(path) as image:
                pixels = _square(image.convert("RGB"), self.size)
        except OSError as error:
            raise ValueError(f"{path}: expected an image, but it cannot be decoded: {error}") from error
        return torch.from_numpy(np.asarray(pixels).transpose(2, 0, 1).copy())


def parts(root: Path) -> tuple[Path, Path]:
    """Folders of the part to train on and of the part to test on."""
    for name in TEST_NAMES:
        if (root / name).is_dir() and (root / "train").is_dir():
            return root / "train", root / name
    raise ValueError(f"{root}: expected the folders train and val (or test), each with one folder per class")


def read(part: Path, size: int) -> tuple[tuple[ImageFiles, Tensor], tuple[str, ...]]:
    """Images with their labels, and the class names: those of the folders, sorted."""
    classes = sorted(path for path in part.iterdir() if path.is_dir())
    extensions = Image.registered_extensions()
    files, labels = [], []
    for label, folder in enumerate(classes):
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions)
        files += found
        labels += [label] * len(found)
    if not files:
        raise ValueError(f"{part}: expected one folder of images per class, found no image")
    return (ImageFiles(files, size), torch.tensor(labels)), tuple(path.name for path in classes)


def _square(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the shorter side is a little longer than `size`, then cut out the middle."""
    if min(image.size) == size == max(image.size):
        return image
    scale = size * MARGIN / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
