"""Accuracy under skip masks (the paper's Figure 1 and sensitivity list, as tables)."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from tqdm import tqdm

from skipgate_models.data import Dataset
from skipgate_models.resnet import ResNet

BATCH = 120
# Networks with more gates are sampled at every fifth number of skipped blocks.
FEW_GATES = 12


def accuracy(network: ResNet, dataset: Dataset, mask: Sequence[bool] | None = None) -> float:
    """Top-1 accuracy on the test part in percent; without `mask` all blocks run."""
    training = network.training
    network.eval()
    correct = 0
    with torch.inference_mode():
        pairs = zip(dataset.test.images.split(BATCH), dataset.test.labels.split(BATCH), strict=True)
        for images, labels in pairs:
            logits = network(dataset.preprocessing(images), mask)
            correct += int((logits.argmax(1) == labels).sum())
    network.train(training)
    return 100 * correct / len(dataset.test.labels)


def report(network: ResNet, dataset: Dataset, *, masks: int, seed: int) -> str:
    """Two Markdown tables: worst, mean and best mask per number of skipped blocks; every single skip."""
    gates = network.gates()
    generator = random.Random(seed)
    rows = ["| blocks skipped | masks | worst | mean | best |", "|---|---|---|---|---|"]
    for skipped in tqdm(_counts(gates), unit="row", disable=None):
        results = [accuracy(network, dataset, mask) for mask in _masks(gates, skipped, masks, generator)]
        rows.append(_row(skipped, results, exhaustive=len(results) == math.comb(gates, skipped)))
        if skipped == 1:
            singles = results
    return "\n".join([*rows, "", *_single_skips(network, singles)])


def _counts(gates: int) -> list[int]:
    """Numbers of skipped blocks to look at."""
    step = 1 if gates <= FEW_GATES else 5
    return sorted({0, 1, gates, *range(0, gates, step)})


def _masks(gates: int, skipped: int, limit: int, generator: random.Random) -> Iterator[list[bool]]:
    """All masks with that many skips if there are at most `limit` or one is skipped, else random ones."""
    few = skipped == 1 or math.comb(gates, skipped) <= limit
    everything = combinations(range(gates), skipped) if few else ()
    sampled = () if few else (generator.sample(range(gates), skipped) for _ in range(limit))
    for skips in (*everything, *sampled):
        yield [gate not in skips for gate in range(gates)]


def _row(skipped: int, results: list[float], *, exhaustive: bool) -> str:
    masks = f"all {len(results)}" if exhaustive else f"{len(results)} random"
    mean = sum(results) / len(results)
    return f"| {skipped} | {masks} | {min(results):.1f} | {mean:.1f} | {max(results):.1f} |"


def _single_skips(network: ResNet, results: list[float]) -> list[str]:
    """One row per segment, as all its gates cost the same."""
    rows = [
        "| segment | gates | accuracy with only that gate's block skipped, in gate order |",
        "|---|---|---|",
    ]
    gate = 0
    for number, segment in enumerate(network.segments):
        after = gate + len(segment) - 1
        listed = " ".join(f"{result:.1f}" for result in results[gate:after])
        rows.append(f"| {number} | {gate}-{after - 1} | {listed} |")
        gate = after
    return rows
