"""Accuracy under masks, and its plots."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from conftest import SMALL, resnet

from skipgate_models import depths, masks, plot, run, statistics, train
from skipgate_models.data import Dataset
from skipgate_models.depths import Plan
from skipgate_models.evaluate import accuracies

PLAN = Plan(depths=(0, 1, 2, 3), masks=2, images=20, seed=0)


def test_accuracy_is_that_of_the_masked_network(small: Dataset) -> None:
    network = resnet()
    [found] = accuracies(network, small.test, small.preprocessing, [[True, False, True]])
    with torch.inference_mode():
        classes = network(small.preprocessing(small.test.images), [1, 0, 1]).argmax(1)
    assert found == pytest.approx(100 * float((classes == small.test.labels).float().mean()))


def test_sampled_masks_are_different_and_repeat_with_their_seed() -> None:
    sampled = masks.sample(51, 20, 100, seed=1)
    assert len(set(sampled)) == 100
    assert {mask.count("0") for mask in sampled} == {20}
    assert sampled == masks.sample(51, 20, 100, seed=1)
    assert sampled != masks.sample(51, 20, 100, seed=2)


@pytest.mark.parametrize(("gates", "skipped"), [(6, 3), (51, 0), (51, 51), (51, 1)])
def test_few_masks_are_all_taken(gates: int, skipped: int) -> None:
    assert len(set(masks.sample(gates, skipped, 30, seed=0))) == math.comb(gates, skipped)


def test_the_least_sensitive_blocks_are_skipped_first() -> None:
    assert masks.least_sensitive([90, 95, 80, 92], 2) == "1010"


def test_an_evaluation_goes_on_where_it_was_interrupted(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = resnet()
    whole = depths.measure(network, small, PLAN, tmp_path / "whole.csv")
    depths.measure(network, small, dataclasses.replace(PLAN, depths=(0, 1)), tmp_path / "parts.csv")
    measured = []
    monkeypatch.setattr(depths, "accuracies", lambda *args: measured.extend(args[3]) or accuracies(*args))
    parts = depths.measure(network, small, PLAN, tmp_path / "parts.csv")
    assert parts == whole
    assert 0 < len(measured) < len(whole)
    assert depths.read(tmp_path / "parts.csv") == parts


def test_the_best_mask_is_chosen_on_some_images_and_measured_on_others(small: Dataset, tmp_path: Path) -> None:
    results = depths.measure(resnet(), small, PLAN, tmp_path / "results.csv")
    other = [result for result in results if result.images == "other"]
    assert [result.skipped for result in other] == [0, 1, 2, 3]
    for best in other:
        first = {r.mask: r.accuracy for r in results if r.skipped == best.skipped and r.images == "first"}
        assert first[best.mask] == max(first.values())
        rest = small.test.slice(20, len(small.test))
        assert [best.accuracy] == accuracies(resnet(), rest, small.preprocessing, [masks.parse(best.mask)])


def test_the_table_has_a_row_per_number_of_skipped_blocks() -> None:
    results = [
        depths.Measurement(0, "11", "random", "first", 90.0),
        depths.Measurement(0, "11", "random", "other", 91.0),
        depths.Measurement(1, "10", "random", "first", 80.0),
        depths.Measurement(1, "01", "random", "first", 70.0),
    ]
    assert depths.table(results).splitlines()[2:] == [
        "| 0 | all 1 | 90.0 | 90.0 | 90.0 | 91.0 |",
        "| 1 | all 2 | 70.0 | 75.0 | 80.0 | - |",
    ]


def test_recomputed_statistics_are_those_of_the_images() -> None:
    network = resnet()
    images = torch.randn(40, 3, 32, 32) * 3 + 1
    adapted = statistics.recompute(network, images, [[True, False, True]], 20)
    with torch.inference_mode():
        before = adapted.stem.conv(images)
    assert torch.allclose(adapted.stem.bn.running_mean, before.mean((0, 2, 3)), atol=1e-4)
    # A block that no mask runs has none.
    assert not adapted.segments[1][1].residual.bn1.running_mean.any()
    assert not torch.equal(adapted.stem.bn.running_mean, network.stem.bn.running_mean)


@pytest.mark.parametrize("kind", ["shared", "each"])
def test_depths_are_measured_with_recomputed_statistics(small: Dataset, tmp_path: Path, kind: str) -> None:
    plan = dataclasses.replace(PLAN, depths=(0, 3), statistics=kind)
    results = depths.measure(resnet(), small, plan, tmp_path / "results.csv")
    assert {result.skipped for result in results} == {0, 1, 3}


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(ValueError, match=r"log.csv: expected a file that `evaluate` wrote"):
        depths.read(path)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_plots_are_written_and_repeat(small: Dataset, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    schedule = dataclasses.replace(SMALL.schedule, epochs=2, evaluate_every=1)
    state = run.start(dataclasses.replace(SMALL, schedule=schedule), 10, torch.device("cpu"))
    state.log.append(train.train_epoch(SMALL, small, state))
    run.save(folder, SMALL, state)
    depths.measure(state.network, small, PLAN, tmp_path / "masks.csv")
    for name in ("first", "second"):
        plot.plot_log([folder], tmp_path / f"{name}-log.{kind}")
        plot.plot_depths([tmp_path / "masks.csv"], tmp_path / f"{name}-masks.{kind}")
    for what in ("log", "masks"):
        contents = (tmp_path / f"first-{what}.{kind}").read_bytes()
        assert len(contents) > 5000
        assert contents == (tmp_path / f"second-{what}.{kind}").read_bytes()


def test_a_plot_of_another_kind_is_refused(tmp_path: Path) -> None:
    depths_file = tmp_path / "masks.csv"
    depths_file.write_text("skipped,mask,kind,images,accuracy\n0,1,random,first,50\n")
    with pytest.raises(ValueError, match=r"expected a name that ends in .svg or .png"):
        plot.plot_depths([depths_file], tmp_path / "plot.xyz")
