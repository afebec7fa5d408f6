"""The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).

Every record is one or two label bytes (CIFAR-100: the coarse class, then the fine one, which is used here) followed by
3,072 bytes: the red, green and blue planes of a 32x32 image, row by row.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """File names inside of the folder, and the number of label bytes, of which the last is the class."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int

    def read(self, root: Path, part: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Images `uint8 [N, 3, 32, 32]` and labels `int64 [N]`; `ValueError` if a file is something else."""
        files = [self._folder(root) / name for name in getattr(self, part)]
        records = torch.from_numpy(np.concatenate([self._records(file) for file in files]))
        images = records[:, self.label_bytes :].reshape(-1, 3, 32, 32).contiguous()
        return images, records[:, self.label_bytes - 1].long()

    def class_names(self, root: Path) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return tuple((self._folder(root) / self.names).read_text().split())

    def _folder(self, root: Path) -> Path:
        """Return the unpacked archive, in `root` or `root` itself."""
        inner = root / self.folder
        return inner if inner.is_dir() else root

    def _records(self, file: Path) -> np.ndarray:
        size = self.label_bytes + PIXELS
        data = np.fromfile(file, np.uint8)
        if not len(data) or len(data) % size:
            raise ValueError(f"{file}: expected records of {size} bytes, found a file of {len(data)} bytes")
        return data.reshape(-1, size)


CIFAR10 = Layout(
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    names="batches.meta.txt",
    label_bytes=1,
)
CIFAR100 = Layout(
    folder="cifar-100-binary",
    train=("train.bin",),
    test=("test.bin",),
    names="fine_label_names.txt",
    label_bytes=2,
)
