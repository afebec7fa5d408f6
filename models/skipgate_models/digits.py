"""The handwritten digits that scikit-learn ships, as files with a fixed split.

1,797 grey images of 8x8 pixels (UCI "Optical Recognition of Handwritten Digits", test part; E. Alpaydin and
C. Kaynak; CC BY 4.0), enlarged to 32x32 so that they go through networks made for CIFAR.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skipgate_models import idx

SIZE = 32
TEST_IMAGES = 360
SPLIT_SEED = 2024
FOLDER = Path(__file__).parents[1] / "digits"

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def write(folder: Path) -> None:
    """Make the four IDX files and one sample image per class, the first of it in the test split."""
    (train_images, train_labels), (test_images, test_labels) = _split()
    idx.write(folder / "train-images-idx3-ubyte.gz", train_images)
    idx.write(folder / "train-labels-idx1-ubyte.gz", train_labels)
    idx.write(folder / "test-images-idx3-ubyte.gz", test_images)
    idx.write(folder / "test-labels-idx1-ubyte.gz", test_labels)
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    for digit in range(10):
        first = int(np.flatnonzero(test_labels == digit)[0])
        Image.fromarray(test_images[first]).save(samples / f"{digit}.png", optimize=True)


def read(folder: Path, part: str) -> tuple[Images, Labels]:
    """Images `[N, 32, 32]` and labels `[N]` of the part `train` or `test`."""
    images = idx.read(folder / f"{part}-images-idx3-ubyte.gz")
    labels = idx.read(folder / f"{part}-labels-idx1-ubyte.gz")
    return images, labels


def _split() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Stratified split with a fixed seed: 1,437 images to train on, 360 to test on."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import, and only this command needs it
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    digits = load_digits()
    images = np.stack([_enlarge(image) for image in digits.images])
    labels = digits.target.astype(np.uint8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=TEST_IMAGES, random_state=SPLIT_SEED, stratify=labels
    )
    return (train_images, train_labels), (test_images, test_labels)


def _enlarge(image: NDArray[np.float64]) -> Images:
    """From 8x8 with 17 grey levels to 32x32 with 256, bilinear."""
    levels = np.round(image * (255 / 16)).astype(np.uint8)
    return np.asarray(Image.fromarray(levels).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
