"""Which blocks are dropped, how often, and what their residuals are multiplied by."""

import pytest
import torch
from conftest import resnet

from skipgate_models.config import StochasticDepth
from skipgate_models.resnet import ResNet
from skipgate_models.stochastic_depth import keep_probabilities, sample_depth, sample_scales


def test_keep_probabilities_fall_linearly_over_all_blocks() -> None:
    skippable = [False, True, False, True]
    assert keep_probabilities(skippable, StochasticDepth(0.2, rule="linear")) == pytest.approx([1 - 2 / 4 * 0.8, 0.2])


def test_keep_probabilities_of_resnet110_are_those_of_the_paper() -> None:
    probabilities = keep_probabilities(ResNet(110, 10).skippable(), StochasticDepth(0.5, rule="linear"))
    # Blocks 1, 19 and 37 of 54 are the first of their segments.
    assert probabilities == pytest.approx([1 - block / 54 * 0.5 for block in range(1, 55) if block not in (1, 19, 37)])


def test_the_uniform_rule_drops_every_block_as_often() -> None:
    assert keep_probabilities([False, True, True], StochasticDepth(0.7)) == [0.7, 0.7]


@pytest.mark.parametrize("p_last", [0.0, 1.5])
def test_a_probability_out_of_range_is_refused(p_last: float) -> None:
    with pytest.raises(ValueError, match="p_last must be in"):
        keep_probabilities([True], StochasticDepth(p_last))


def test_blocks_are_dropped_as_often_as_they_should() -> None:
    depth = StochasticDepth(0.2, rule="linear")
    skippable = ResNet(20, 10).skippable()
    probabilities = keep_probabilities(skippable, depth)
    generator = torch.Generator().manual_seed(0)
    kept = torch.tensor([sample_scales(skippable, depth, 0.5, generator) for _ in range(4000)]) > 0
    assert kept.float().mean(0).tolist() == pytest.approx(probabilities, abs=0.03)


def test_scales_in_training_keep_the_expected_residual() -> None:
    generator = torch.Generator().manual_seed(0)
    depth = StochasticDepth(0.5, rule="linear")
    scales = torch.tensor([sample_scales([True, True], depth, 0.5, generator) for _ in range(4000)])
    assert set(scales[:, 1].tolist()) == {0.0, 2.0}
    assert scales.mean(0).tolist() == pytest.approx([1, 1], abs=0.05)


def test_residuals_that_are_scaled_at_test_time_are_not_in_training() -> None:
    depth = StochasticDepth(0.5, scaling="test")
    generator = torch.Generator().manual_seed(0)
    assert {scale for _ in range(50) for scale in sample_scales([True, True], depth, 0.5, generator)} == {0.0, 1.0}


def drawn(depth: StochasticDepth, progressed: float) -> torch.Tensor:
    """Draw many keep probabilities."""
    generator = torch.Generator().manual_seed(0)
    return torch.tensor([sample_depth(depth, progressed, generator).p_last for _ in range(4000)])


def test_a_range_of_keep_probabilities_opens_and_spares_whole_batches() -> None:
    depth = StochasticDepth(0.9, p_lowest=0.3, whole=0.25, ramp=0.5, scaling="none")
    opening, open_ = drawn(depth, 0.25), drawn(depth, 0.75)
    assert (opening == 1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert opening.min().item() == pytest.approx(0.6, abs=0.01)
    assert open_.min().item() == pytest.approx(0.3, abs=0.01)
    assert open_[open_ < 1].mean().item() == pytest.approx(0.6, abs=0.02)


def test_a_range_with_scaled_residuals_is_refused() -> None:
    with pytest.raises(ValueError, match="residuals are not scaled"):
        drawn(StochasticDepth(p_lowest=0.3), 0.5)


def test_a_dropped_block_is_neither_run_nor_trained() -> None:
    trained = resnet().train()
    trained(torch.randn(2, 3, 32, 32), [1.0, 0.0, 1.0]).sum().backward()
    assert all(parameter.grad is None for parameter in trained.segments[1][1].parameters())
    assert all(parameter.grad is not None for parameter in trained.segments[2][1].parameters())
