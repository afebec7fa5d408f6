"""Reading data sets, and changing images."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL
from PIL import Image

from skipgate_models import augmentation, cifar, data, digits, idx
from skipgate_models.config import Augmentation
from skipgate_models.data import Part


def test_digits_files_have_the_documented_split() -> None:
    images, labels = digits.read(digits.FOLDER, "train")
    assert images.shape == (1437, 32, 32)
    test_images, test_labels = digits.read(digits.FOLDER, "test")
    assert test_images.shape == (360, 32, 32)
    assert [int((test_labels == digit).sum()) for digit in range(10)] == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert len({image.tobytes() for image in (*images, *test_images)}) == len(labels) + len(test_labels)


def test_digits_command_makes_the_committed_images_again(tmp_path: Path) -> None:
    digits.write(tmp_path)
    for name in ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1"):
        made, committed = (idx.read(folder / f"{name}-ubyte.gz") for folder in (tmp_path, digits.FOLDER))
        assert (made == committed).all(), name


def write_cifar(folder: Path, layout: cifar.Layout) -> np.ndarray:
    """Two random images per file; the labels are those of all files' records."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in (*layout.train, *layout.test):
        records = generator.integers(0, 256, (2, layout.label_bytes + cifar.PIXELS), np.uint8)
        records[:, : layout.label_bytes] = [[label] * layout.label_bytes for label in (3, 1)]
        records.tofile(folder / name)
    (folder / layout.names).write_text("a\nb\nc\nd\n")
    return records


@pytest.mark.parametrize(
    ("name", "layout", "images"), [("cifar10", cifar.CIFAR10, 10), ("cifar100", cifar.CIFAR100, 2)]
)
@pytest.mark.parametrize("inner", [True, False])
def test_cifar_files_are_read(tmp_path: Path, name: str, layout: cifar.Layout, images: int, inner: bool) -> None:
    root = tmp_path / "unpacked"
    records = write_cifar(root / layout.folder if inner else root, layout)
    dataset = data.load(dataclasses.replace(SMALL, dataset=name), root)
    assert dataset.class_names == ("a", "b", "c", "d")
    assert dataset.train.images.shape == (images, 3, 32, 32)
    assert dataset.test.labels.tolist() == [3, 1]
    # The red, green and blue planes follow one another.
    assert dataset.test.images[0, 1, 0, 0] == records[0, layout.label_bytes + 1024]


def test_a_truncated_cifar_file_is_refused(tmp_path: Path) -> None:
    write_cifar(tmp_path / "c", cifar.CIFAR10)
    path = tmp_path / "c" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3.bin: expected records of 3073 bytes, found a file of 6145"):
        data.load(dataclasses.replace(SMALL, dataset="cifar10"), tmp_path / "c")


def test_a_data_set_without_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="name its folder with `--data`"):
        data.load(dataclasses.replace(SMALL, dataset="cifar10"), None)


FOLDER = dataclasses.replace(SMALL, dataset="folder", image_size=24)


def write_folder(root: Path) -> None:
    """Two classes, one of them with images in a folder of its own."""
    for part in ("train", "val"):
        for name, color in (("cat/1.png", (255, 0, 0)), ("dog/more/2.jpg", (0, 255, 0)), ("dog/3.png", (0, 0, 255))):
            path = root / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), color).save(path)


def test_a_folder_of_images_is_read_with_its_classes(tmp_path: Path) -> None:
    write_folder(tmp_path)
    dataset = data.load(FOLDER, tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.train.labels.tolist() == [0, 1, 1]
    images = dataset.train.images[torch.tensor([0, 1])]
    assert images.shape == (2, 3, 24, 24)
    assert images[0, :, 12, 12].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "val").rename(root / "dev"), "expected the folders train and val"),
        (lambda root: (root / "val" / "cat").rename(root / "val" / "cow"), "different classes"),
        (lambda root: (root / "train" / "cat" / "1.png").write_bytes(b"text"), r"1.png: expected an image"),
    ],
)
def test_a_damaged_folder_of_images_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    write_folder(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message):
        data.load(FOLDER, tmp_path).train.slice(0, 3)


def test_an_epoch_holds_every_image_once() -> None:
    labels = [batch.labels for batch in epoch(slice(None))]
    assert [len(batch) for batch in labels] == [4, 3, 3]
    assert torch.cat(labels).sort().values.tolist() == list(range(10))


def test_processes_share_the_batches_of_one() -> None:
    shards = [epoch(slice(rank, None, 2)) for rank in range(2)]
    for whole, *parts in zip(epoch(slice(None)), *shards, strict=True):
        assert torch.equal(torch.cat([part.labels for part in parts]).sort().values, whole.labels.sort().values)
        assert torch.equal(parts[1].images, whole.images[1::2])


def epoch(shard: slice) -> list[augmentation.Batch]:
    """One epoch of ten small images, or one process's share of it."""
    images = torch.arange(120, dtype=torch.uint8).view(10, 3, 2, 2)
    generator = torch.Generator().manual_seed(0)
    views_of = augmentation.random_views(SMALL.augmentation, generator)
    return list(augmentation.batches(Part(images, torch.arange(10)), 4, views_of, generator, shard))


def changed(images: torch.Tensor, **change: object) -> torch.Tensor:
    """Draw a view of each image."""
    views_of = augmentation.random_views(Augmentation(**change), torch.Generator().manual_seed(1))
    return views_of(torch.arange(len(images))).apply(images)


def test_shifted_images_keep_their_ink() -> None:
    images = torch.zeros(5, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 10:20, 12:22] = torch.arange(100, dtype=torch.uint8).view(10, 10)
    shifted = changed(images, shift=3)
    assert shifted.shape == images.shape
    assert not torch.equal(shifted, images)
    assert torch.equal(shifted.flatten(1).sort().values, images.flatten(1).sort().values)


def test_what_moves_in_is_black_or_the_images_own() -> None:
    images = torch.full((8, 3, 8, 8), 7, dtype=torch.uint8)
    assert set(changed(images, shift=2).unique().tolist()) == {0, 7}
    assert changed(images, shift=2, padding="reflect").unique().tolist() == [7]


def test_flipped_images_are_mirrored_left_to_right() -> None:
    images = torch.arange(8, dtype=torch.uint8).view(1, 1, 2, 4).expand(50, 3, 2, 4)
    rows = {tuple(image[0, 0].tolist()) for image in changed(images, flip=True)}
    assert rows == {(0, 1, 2, 3), (3, 2, 1, 0)}
