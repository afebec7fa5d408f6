"""Stochastic Depth (Huang et al. 2016; paper, section I-A).

For every batch each skippable block is dropped with a probability that does not fall with its depth. What a residual
adds has to be the same on average in training and at test time, for which there are three conventions:

* `training` (torchvision, timm; the default here): the residual of a kept block is divided by its keep probability in
  training. At test time a block either runs as it is or does not run.
* `test` (Huang et al.): the residual is left as it is in training and multiplied by its keep probability at test time.
  `export` and `evaluate` multiply the last BatchNormalization of the residual by it, once and for all.
* `none` (LayerDrop, Fan et al. 2020): never scaled, so the residual's sum falls with the depth as it will at test time.
  For a keep probability that is drawn per batch: training then sees every depth as it is deployed.

So each way a mask means the same in PyTorch, in ONNX and in an artifact, and nothing is scaled when one is applied.
"""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Generator

from skipgate_models.config import Rule, StochasticDepth


def keep_probabilities(skippable: Sequence[bool], depth: StochasticDepth) -> list[float]:
    """Keep probability of every gate.

    For block l of L, counted from 1: `p_l = 1 - (l / L) (1 - p_L)` by the linear rule, `p_L` by the uniform one. All
    blocks count, also those that are never dropped; the result has one entry per skippable block.
    """
    if not 0 < depth.p_last <= 1:
        raise ValueError(f"p_last must be in (0, 1], found {depth.p_last}")
    blocks = len(skippable)
    rule = _RULES[depth.rule]
    return [rule(block / blocks, depth.p_last) for block, gated in enumerate(skippable, 1) if gated]


def sample_scales(
    skippable: Sequence[bool], depth: StochasticDepth, progressed: float, generator: Generator
) -> list[float]:
    """Draw the factor of each gated residual for one batch: 0 if the block is dropped.

    `progressed` is the share of the training that is over.
    """
    probabilities = keep_probabilities(skippable, sample_depth(depth, progressed, generator))
    draws = torch.rand(len(probabilities), generator=generator).tolist()
    kept = [1 / p if depth.scaling == "training" else 1.0 for p in probabilities]
    return [factor if draw < p else 0.0 for p, factor, draw in zip(probabilities, kept, draws, strict=True)]


def sample_depth(depth: StochasticDepth, progressed: float, generator: Generator) -> StochasticDepth:
    """Draw the keep probability of one batch, if there is a range of them."""
    if depth.p_lowest is None:
        return depth
    if depth.scaling != "none":
        raise ValueError(f'with p_lowest, residuals are not scaled: expected scaling "none", found {depth.scaling!r}')
    opened = min(1.0, progressed / depth.ramp) if depth.ramp else 1.0
    lowest = depth.p_last - opened * (depth.p_last - depth.p_lowest)
    whole, share = torch.rand(2, generator=generator).tolist()
    p_last = 1.0 if whole < depth.whole else lowest + share * (depth.p_last - lowest)
    return dataclasses.replace(depth, p_last=p_last)


_RULES: dict[Rule, Callable[[float, float], float]] = {
    "linear": lambda position, p_last: 1 - position * (1 - p_last),
    "uniform": lambda _, p_last: p_last,
}
