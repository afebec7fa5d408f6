"""Stochastic Depth (Huang et al. 2016; paper, section I-A).

For every batch each skippable block is dropped with a probability that does not fall with its depth. What a residual
adds has to be the same on average in training and at test time, for which there are two conventions:

* `training` (torchvision, timm; the default here): the residual of a kept block is divided by its keep probability in
  training. At test time a block either runs as it is or does not run.
* `test` (Huang et al.): the residual is left as it is in training and multiplied by its keep probability at test time.
  `export` and `evaluate` multiply the last BatchNormalization of the residual by it, once and for all.

So either way a mask means the same in PyTorch, in ONNX and in an artifact, and nothing is scaled when one is applied.
"""

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


def sample_scales(probabilities: Sequence[float], depth: StochasticDepth, generator: Generator) -> list[float]:
    """Draw the factor of each gated residual for one batch: 0 if the block is dropped."""
    draws = torch.rand(len(probabilities), generator=generator).tolist()
    kept = [1 / p if depth.scaling == "training" else 1.0 for p in probabilities]
    return [factor if draw < p else 0.0 for p, factor, draw in zip(probabilities, kept, draws, strict=True)]


_RULES: dict[Rule, Callable[[float, float], float]] = {
    "linear": lambda position, p_last: 1 - position * (1 - p_last),
    "uniform": lambda _, p_last: p_last,
}
