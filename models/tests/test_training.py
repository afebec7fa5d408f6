"""Training for a few steps on a few digits."""

import dataclasses
from pathlib import Path

import pytest
import torch
from conftest import CPU, SMALL

from skipgate_models import run, train
from skipgate_models.config import Config, Network, Schedule, SkipNet, StochasticDepth
from skipgate_models.data import Dataset
from skipgate_models.stochastic_depth import keep_probabilities


def trained(config: Config, dataset: Dataset, folder: Path) -> torch.nn.Module:
    """Train in `folder` and read the network back."""
    train.train(config, dataset, folder, CPU)
    return run.load_network(folder, 10)


SKIPNET = dataclasses.replace(SMALL, skipnet=SkipNet("ffgate1"), stochastic_depth=StochasticDepth())
GENTLE = dataclasses.replace(SMALL.schedule, learning_rate=0.001, epochs=2, fixed_statistics_epochs=0)
RESIZED = dataclasses.replace(SMALL.schedule, image_sizes=((0, 16), (2, 32)), label_smoothing=0.1)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        SKIPNET,
        dataclasses.replace(SMALL, precision="bf16"),
        dataclasses.replace(SMALL, schedule=RESIZED),
        dataclasses.replace(SMALL, network=Network("torchvision/resnet18"), schedule=GENTLE),
    ],
    ids=["fp32", "skipnet", "bf16", "resized", "torchvision"],
)
def test_an_interrupted_training_goes_on_identically(small: Dataset, tmp_path: Path, config: Config) -> None:
    whole = trained(config, small, tmp_path / "whole").state_dict()
    state = run.resume(tmp_path / "parts", config, 10, CPU)
    state.log.append(train.train_epoch(config, small, state))
    run.save(tmp_path / "parts", config, state)
    parts = trained(config, small, tmp_path / "parts").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert len(run.read_log(tmp_path / "parts")) == config.schedule.epochs


def test_a_training_learns(small: Dataset, tmp_path: Path) -> None:
    schedule = Schedule(epochs=12, batch_size=16, learning_rate=0.05, warmup_epochs=2)
    trained(dataclasses.replace(SMALL, schedule=schedule, stochastic_depth=StochasticDepth()), small, tmp_path)
    losses = [float(row["loss"]) for row in run.read_log(tmp_path)]
    assert losses[-1] < losses[0] / 2


def test_a_run_folder_of_another_config_is_refused(small: Dataset, tmp_path: Path) -> None:
    state = run.start(SMALL, 10, CPU)
    state.log.append(train.train_epoch(SMALL, small, state))
    run.save(tmp_path, SMALL, state)
    with pytest.raises(ValueError, match="another config"):
        run.resume(tmp_path, dataclasses.replace(SMALL, seed=4), 10, CPU)


def test_fixed_statistics_stay_as_they_are(small: Dataset, tmp_path: Path) -> None:
    schedule = dataclasses.replace(SMALL.schedule, epochs=1, fixed_statistics_epochs=1)
    network = trained(dataclasses.replace(SMALL, schedule=schedule), small, tmp_path)
    assert not network.stem.bn.running_mean.any()


def test_residuals_scaled_at_test_time_are_scaled_when_the_network_is_read(small: Dataset, tmp_path: Path) -> None:
    depth = StochasticDepth(0.5, scaling="test")
    config = dataclasses.replace(SMALL, stochastic_depth=depth)
    network = trained(config, small, tmp_path)
    checkpoint = run.resume(tmp_path, config, 10, CPU).network.eval()
    images = small.preprocessing(small.test.images[:4])
    probabilities = keep_probabilities(network.skippable(), depth)
    with torch.inference_mode():
        assert torch.allclose(network(images), checkpoint(images, probabilities), atol=1e-5)
        assert torch.allclose(network(images, [0, 0, 0]), checkpoint(images, [0, 0, 0]), atol=1e-5)


def test_a_reward_for_skipping_makes_skipnet_skip(small: Dataset, tmp_path: Path) -> None:
    schedule = Schedule(epochs=8, batch_size=16, learning_rate=0.1, warmup_epochs=0)
    config = dataclasses.replace(SKIPNET, schedule=schedule, skipnet=SkipNet("ffgate2", skip_reward=20.0))
    trained(config, small, tmp_path)
    assert float(run.read_log(tmp_path)[-1]["test_blocks_skipped"]) == 3
