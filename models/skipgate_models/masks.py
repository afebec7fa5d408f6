"""Skip masks to try, as strings of 1 (run the block) and 0 (skip it), one digit per gate."""

import math
import random
from collections.abc import Sequence
from itertools import combinations

# Networks with more gates are sampled at every fifth number of skipped blocks.
FEW_GATES = 12


def parse(mask: str) -> list[bool]:
    """One boolean per gate."""
    return [digit == "1" for digit in mask]


def skipping(gates: int, skips: Sequence[int]) -> str:
    """Write the mask that skips these gates."""
    return "".join("0" if gate in skips else "1" for gate in range(gates))


def depths(gates: int) -> list[int]:
    """Numbers of skipped blocks to look at."""
    step = 1 if gates <= FEW_GATES else 5
    return sorted({0, 1, gates, *range(0, gates, step)})


def sample(gates: int, skipped: int, limit: int, seed: int) -> list[str]:
    """All masks with that many skips if there are at most `limit` or one is skipped, else random ones."""
    if skipped == 1 or is_exhaustive(gates, skipped, limit):
        return [skipping(gates, skips) for skips in combinations(range(gates), skipped)]
    generator = random.Random(f"{seed} {skipped}")
    chosen: dict[str, None] = {}
    while len(chosen) < limit:
        chosen[skipping(gates, generator.sample(range(gates), skipped))] = None
    return list(chosen)


def is_exhaustive(gates: int, skipped: int, count: int) -> bool:
    """Whether `count` different masks are all that skip that many blocks."""
    return math.comb(gates, skipped) <= count


def least_sensitive(single_skips: Sequence[float], skipped: int) -> str:
    """Skip the blocks whose single skips leave the highest accuracies (paper, section II-A.3)."""
    gates = len(single_skips)
    order = sorted(range(gates), key=lambda gate: -single_skips[gate])
    return skipping(gates, order[:skipped])
