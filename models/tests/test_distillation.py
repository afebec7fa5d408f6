"""Teachers, banks of their logits, and networks that learn from them: a few steps on a few digits."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CPU, SMALL, resnet

from skipgate_models import bank, losses, run, teacher, train
from skipgate_models.config import Augmentation, Config, Distillation, Network, Schedule, StochasticDepth, Tuning
from skipgate_models.data import Dataset
from skipgate_models.wide import WideNet

WIDE = dataclasses.replace(
    SMALL,
    network=Network("wide/8-16-16"),
    schedule=Schedule(
        epochs=2, batch_size=16, learning_rate=0.5, warmup_epochs=0.5, decay="linear", bias_rate=64, average=0.9
    ),
    augmentation=Augmentation(shift=2, padding="reflect"),
)


@pytest.fixture
def taught(small: Dataset, tmp_path: Path) -> Path:
    """Give a bank of four views by a teacher of two networks."""
    teacher.train_teacher(WIDE, small, tmp_path / "teacher", [1, 2], CPU)
    write_bank(small, tmp_path)
    return tmp_path / "bank"


def write_bank(dataset: Dataset, folder: Path) -> None:
    plan = bank.Plan.of(dataset.train, 4, 0, Augmentation(shift=2, flip=True, padding="reflect"))
    bank.write(folder / "bank", plan, teacher.load(folder / "teacher", 10), dataset, "fp32")


def test_a_wide_network_whitens_patches(small: Dataset) -> None:
    network = WideNet([8, 16, 16], 10)
    images = small.preprocessing(small.train.images) + 0.1 * torch.randn(48, 3, 32, 32)
    network.whiten(images)
    with torch.inference_mode():
        components = network.whitening(images)[:, :12].transpose(0, 1).flatten(1)
    assert torch.allclose(components.std(1), torch.ones(12), atol=0.1)
    assert torch.equal(network.whitening.weight[:12], -network.whitening.weight[12:])


def test_a_banks_logits_are_the_mean_of_the_teachers(small: Dataset, tmp_path: Path, taught: Path) -> None:
    known = bank.read(taught, small.train)
    index = torch.tensor([3, 30, 7])
    views = known.views_of(5, 0)(index)
    changed = small.preprocessing(views.apply(small.train.images[index]))
    with torch.inference_mode():
        logits = torch.stack([network(changed) for network in teacher.load(tmp_path / "teacher", 10)]).mean(0)
    assert torch.allclose(views.logits, logits, atol=2e-3)


def test_an_image_takes_all_its_views_in_turn_and_is_mirrored_in_every_second_epoch(
    small: Dataset, taught: Path
) -> None:
    known = bank.read(taught, small.train)
    views = [known.views_of(epoch, 1)(torch.arange(48)) for epoch in range(5)]
    assert all(torch.equal(before.mirrored, ~after.mirrored) for before, after in itertools.pairwise(views))
    assert torch.equal(views[0].logits, views[4].logits)
    assert 0 < views[0].mirrored.sum() < 48


def test_an_interrupted_bank_is_completed(small: Dataset, tmp_path: Path, taught: Path) -> None:
    view = taught / "view-02.npz"
    whole = np.load(view)
    view.unlink()
    with pytest.raises(ValueError, match="1 of 4 views are missing"):
        bank.read(taught, small.train)
    write_bank(small, tmp_path)
    again = np.load(view)
    assert all(np.array_equal(whole[name], again[name]) for name in ("shifts", "logits"))


def test_a_bank_of_other_images_or_with_another_plan_is_refused(small: Dataset, taught: Path) -> None:
    with pytest.raises(ValueError, match="other images"):
        bank.read(taught, small.test)
    plan = dataclasses.replace(bank.read(taught, small.train).plan, views=5)
    with pytest.raises(ValueError, match="another plan"):
        bank.write(taught, plan, [], small, "fp32")


def test_an_unfinished_teacher_is_refused(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no teacher"):
        teacher.load(tmp_path, 10)
    state = run.start(WIDE, 10, CPU)
    state.log.append(train.train_epoch(WIDE, small, state))
    run.save(tmp_path, WIDE, state)
    with pytest.raises(ValueError, match="1 of 2 epochs are done"):
        teacher.load(tmp_path, 10)


def learner(folder: Path, **changes: object) -> Config:
    """Learn from the bank, with all that a long recipe has."""
    schedule = dataclasses.replace(
        SMALL.schedule, image_sizes=((0, 16), (1, 32)), average=0.9, decay="linear", decay_filters_only=True
    )
    depth = StochasticDepth(p_lowest=0.25, whole=0.3, ramp=0.5, scaling="none")
    return dataclasses.replace(
        SMALL, schedule=schedule, stochastic_depth=depth, distillation=Distillation(bank=str(folder)), **changes
    )


@pytest.mark.parametrize("tuning", [None, Tuning(("111", "010", "000"))], ids=["train", "tune"])
def test_an_interrupted_distillation_goes_on_identically(
    small: Dataset, tmp_path: Path, taught: Path, tuning: Tuning | None
) -> None:
    config = learner(taught, tuning=tuning)
    train.train(config, small, tmp_path / "whole", CPU)
    known = train.find_teacher(config, small, CPU)
    for _ in range(config.schedule.epochs):
        state = run.resume(tmp_path / "parts", config, 10, CPU)
        state.log.append(train.train_epoch(config, small, state, teacher=known))
        run.save(tmp_path / "parts", config, state)
    whole, parts = (run.load_network(tmp_path / name, 10).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_moving_average_is_what_is_read_back(small: Dataset, tmp_path: Path, taught: Path) -> None:
    config = learner(taught)
    train.train(config, small, tmp_path, CPU)
    state = run.resume(tmp_path, config, 10, CPU)
    read = run.load_network(tmp_path, 10).state_dict()
    assert all(torch.equal(read[name], value) for name, value in state.average.state_dict().items())
    assert not torch.equal(read["head.fc.weight"], state.network.state_dict()["head.fc.weight"])


def test_a_network_learns_from_itself(small: Dataset, tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "weights.pt")
    settings = Distillation(teacher="itself", weight=1.0)
    config = dataclasses.replace(SMALL, distillation=settings)
    with pytest.raises(ValueError, match="give `initial` or `pretrained`"):
        train.find_teacher(config, small, CPU)
    config = dataclasses.replace(
        config, network=dataclasses.replace(SMALL.network, initial=str(tmp_path / "weights.pt"))
    )
    train.train(config, small, tmp_path / "run", CPU)
    log = run.read_log(tmp_path / "run")
    assert float(log[-1]["loss"]) < float(log[0]["loss"])


def test_the_divergence_is_zero_for_the_teachers_own_logits_and_grows_with_their_difference() -> None:
    teacher_logits = torch.randn(8, 10)
    assert losses.divergence(teacher_logits, teacher_logits, 3.0) == pytest.approx(0, abs=1e-6)
    near, far = (
        losses.divergence(teacher_logits + noise * torch.randn(8, 10), teacher_logits, 3.0) for noise in (0.1, 1)
    )
    assert 0 < near < far


def test_tuning_brings_deployed_masks_near_the_whole_network(small: Dataset, tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "weights.pt")
    schedule = Schedule(epochs=6, batch_size=16, learning_rate=0.01, warmup_epochs=0, fixed_statistics_epochs=6)
    config = dataclasses.replace(
        SMALL,
        network=dataclasses.replace(SMALL.network, initial=str(tmp_path / "weights.pt")),
        schedule=schedule,
        tuning=Tuning(("111", "100"), smallest_every=2),
    )
    train.train(config, small, tmp_path / "run", CPU)
    images = small.preprocessing(small.train.images)

    def distance(network: torch.nn.Module) -> float:
        with torch.inference_mode():
            return float(losses.divergence(network(images, [1, 0, 0]), network(images), 1.0))

    assert distance(run.load_network(tmp_path / "run", 10)) < distance(resnet())
