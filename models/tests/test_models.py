"""The recipes on a small network and a few images."""

import dataclasses
from pathlib import Path

import pytest
import torch

from skipgate_models import config, data, digits, idx, run, train
from skipgate_models.config import Augmentation, Config, Network, Schedule, StochasticDepth
from skipgate_models.data import Dataset, Part
from skipgate_models.export import EXPORTERS, ExportError, describe, export
from skipgate_models.resnet import ResNet
from skipgate_models.stochastic_depth import keep_probabilities, sample_scales

SMALL = Config(
    dataset="digits",
    seed=3,
    precision="fp32",
    network=Network(depth=14),
    schedule=Schedule(
        epochs=3, batch_size=16, learning_rate=0.05, warmup_epochs=1, fixed_statistics_epochs=1, evaluate_every=3
    ),
    stochastic_depth=StochasticDepth(0.5),
    augmentation=Augmentation(shift=2),
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Make a few of the digits the whole data set, for `train` too."""
    whole = data.load("digits")

    def few(part: Part) -> Part:
        return Part(part.images[:48], part.labels[:48])

    dataset = dataclasses.replace(whole, train=few(whole.train), test=few(whole.test))
    monkeypatch.setattr(data, "load", lambda _: dataset)
    return dataset


def network(depth: int = 14, **options: object) -> ResNet:
    """Network in eval mode whose BatchNormalization has something to compute."""
    torch.manual_seed(0)
    made = ResNet(depth, 10, **options)
    with torch.no_grad():
        made(torch.randn(8, 3, 32, 32))
    return made.eval()


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


@pytest.mark.parametrize(("depth", "gates"), [(20, 6), (32, 12), (44, 18), (56, 24), (110, 51)])
def test_all_blocks_but_the_first_of_each_segment_have_a_gate(depth: int, gates: int) -> None:
    assert ResNet(depth, 10).gates() == gates


def test_keep_probabilities_fall_linearly_over_all_blocks() -> None:
    skippable = [False, True, False, True]
    assert keep_probabilities(skippable, 0.2) == pytest.approx([1 - 2 / 4 * 0.8, 0.2])


def test_sampled_scales_keep_the_expected_residual() -> None:
    probabilities = [0.9, 0.5]
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([sample_scales(probabilities, generator) for _ in range(4000)])
    assert set(scales[:, 1].tolist()) == {0.0, 2.0}
    assert scales.mean(0).tolist() == pytest.approx([1, 1], abs=0.05)


@pytest.mark.parametrize("preactivation", [False, True])
def test_a_skipped_block_is_exactly_the_identity(preactivation: bool) -> None:
    whole = network(preactivation=preactivation)
    shorter = network(preactivation=preactivation)
    shorter.segments[1] = shorter.segments[1][:1]
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(whole(images, [1, 0, 1]), shorter(images))


def test_a_dropped_block_is_neither_run_nor_trained() -> None:
    trained = network().train()
    trained(torch.randn(2, 3, 32, 32), [1.0, 0.0, 1.0]).sum().backward()
    assert all(parameter.grad is None for parameter in trained.segments[1][1].parameters())
    assert all(parameter.grad is not None for parameter in trained.segments[2][1].parameters())


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="the mask has 2 entries, the model has 3 gates"):
        network()(torch.randn(1, 3, 32, 32), [1, 1])


def test_shifted_images_keep_their_ink() -> None:
    images = torch.zeros(5, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 10:20, 12:22] = torch.arange(100, dtype=torch.uint8).view(10, 10)
    shifted = data.random_shift(images, 3, torch.Generator().manual_seed(1))
    assert shifted.shape == images.shape
    assert not torch.equal(shifted, images)
    assert torch.equal(shifted.flatten(1).sort().values, images.flatten(1).sort().values)


def test_an_interrupted_training_goes_on_identically(small: Dataset, tmp_path: Path) -> None:
    train.train(SMALL, tmp_path / "whole")
    state = run.resume(tmp_path / "parts", SMALL, 10)
    state.log.append(train.train_epoch(SMALL, small, state))
    run.save(tmp_path / "parts", SMALL, state)
    train.train(SMALL, tmp_path / "parts")
    whole, parts = (run.load_network(tmp_path / name, 10).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert len((tmp_path / "parts" / run.LOG).read_text().splitlines()) == 1 + SMALL.schedule.epochs


def test_a_run_folder_of_another_config_is_refused(small: Dataset, tmp_path: Path) -> None:
    state = run.start(SMALL, 10)
    state.log.append(train.train_epoch(SMALL, small, state))
    run.save(tmp_path, SMALL, state)
    with pytest.raises(ValueError, match="another config"):
        run.resume(tmp_path, dataclasses.replace(SMALL, seed=4), 10)


def test_fixed_statistics_stay_as_they_are(small: Dataset, tmp_path: Path) -> None:
    schedule = dataclasses.replace(SMALL.schedule, epochs=1, fixed_statistics_epochs=1)
    train.train(dataclasses.replace(SMALL, schedule=schedule), tmp_path)
    assert not run.load_network(tmp_path, 10).stem.bn.running_mean.any()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("shortcut", ["a", "b"])
def test_exported_model_agrees_and_describes_itself(
    small: Dataset, tmp_path: Path, exporter: str, shortcut: str
) -> None:
    images = small.preprocessing(small.test.images[:2])
    path = tmp_path / "model.onnx"
    difference = export(network(depth=8, shortcut=shortcut), images, path, exporter=exporter, metadata=describe(small))
    assert difference < 1e-5
    assert b"skipgate.preprocessing" in path.read_bytes()


def test_a_model_that_differs_is_refused(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skipgate_models.export.TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(network(depth=8), small.preprocessing(small.test.images[:1]), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["resnet20", "resnet110"])
def test_committed_configs_load(name: str) -> None:
    assert f"resnet{config.load(digits.FOLDER / f'{name}.toml').network.depth}" == name


@pytest.mark.parametrize(
    ("text", "message"),
    [("novelty = 1", "unknown keys"), ('dataset = "cats"', "expected one of"), ('seed = "1"', "expected int")],
)
def test_a_wrong_config_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        config.load(path)
