"""Stochastic Depth (Huang et al. 2016; paper, section I-A).

For every batch each skippable block is dropped with a probability that grows with its depth. The residual of a kept
block is divided by its keep probability *in training* (as torchvision and timm do), so at test time a block either
runs unscaled or does not run: a mask means the same in PyTorch, in ONNX and in the artifact. Huang et al. leave the
residual as it is in training and multiply it by the probability at test time; the expected output is the same.
"""

from collections.abc import Sequence

import torch
from torch import Generator


def keep_probabilities(skippable: Sequence[bool], p_last: float) -> list[float]:
    """Keep probability of every gate: `p_l = 1 - (l / L) (1 - p_L)` for block l of L, counted from 1.

    All blocks count, also those that are never dropped; the result has one entry per skippable block.
    """
    if not 0 < p_last <= 1:
        raise ValueError(f"p_last must be in (0, 1], found {p_last}")
    blocks = len(skippable)
    return [1 - block / blocks * (1 - p_last) for block, gated in enumerate(skippable, 1) if gated]


def sample_scales(probabilities: Sequence[float], generator: Generator) -> list[float]:
    """Draw the factor of each gated residual for one batch: 0 if the block is dropped, else 1 / p_l."""
    draws = torch.rand(len(probabilities), generator=generator).tolist()
    return [1 / p if draw < p else 0.0 for p, draw in zip(probabilities, draws, strict=True)]
