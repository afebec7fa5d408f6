"""Accuracy over the number of skipped blocks: the paper's Figure 1, with the best mask found for every number.

Random masks are measured on the first images of the test part. The best one of them and of the mask that skips the
least sensitive blocks is measured again on the other test images, which had no part in choosing it.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from tqdm import tqdm

from skipgate_models import masks as skip_masks
from skipgate_models.data import Dataset, Part
from skipgate_models.evaluate import accuracies
from skipgate_models.files import replacing
from skipgate_models.gated import GatedNetwork
from skipgate_models.statistics import recompute

# Where the results are by default, in the run folder.
RESULTS = "masks.csv"

Kind = Literal["random", "sensitivity"]
Images = Literal["first", "other"]
Statistics = Literal["trained", "shared", "each"]
STATISTICS: tuple[Statistics, ...] = get_args(Statistics)
# Training images, and images per batch, from which statistics are computed again.
STATISTICS_IMAGES = 2000
STATISTICS_BATCH = 100


@dataclass(frozen=True)
class Measurement:
    """Accuracy of one mask in percent, on the first test images or on the others; a row of the results file."""

    skipped: int
    mask: str
    kind: Kind
    images: Images
    accuracy: float


@dataclass(frozen=True)
class Plan:
    """What to measure: at most `masks` per number of skipped blocks in `depths`, on the first `images` test images."""

    depths: tuple[int, ...]
    masks: int
    images: int
    seed: int
    statistics: Statistics = "trained"


def read(path: Path) -> list[Measurement]:
    """Read a results file; `ValueError` if it is something else."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != [field.name for field in fields(Measurement)]:
            raise ValueError(f"{path}: expected a file that `evaluate` wrote, found the columns {reader.fieldnames}")
        return [
            Measurement(int(row["skipped"]), row["mask"], row["kind"], row["images"], float(row["accuracy"]))
            for row in reader
        ]


def measure(network: GatedNetwork, dataset: Dataset, plan: Plan, path: Path) -> list[Measurement]:
    """Measure what is not in the file at `path` yet, which grows with every number of skipped blocks."""
    store = _Store(path, _measurer(network, dataset, plan))
    gates = network.gates()
    first = dataset.test.slice(0, plan.images)
    other = dataset.test.slice(plan.images, len(dataset.test))
    singles = skip_masks.sample(gates, 1, plan.masks, plan.seed)
    store.measure(singles, "random", "first", first)
    single_skips = [store[mask, "first"].accuracy for mask in singles]
    for skipped in plan.depths:
        chosen = skip_masks.sample(gates, skipped, plan.masks, plan.seed)
        store.measure(chosen, "random", "first", first)
        ranked = skip_masks.least_sensitive(single_skips, skipped)
        store.measure([ranked], "sensitivity", "first", first)
        best = max([*chosen, ranked], key=lambda mask: store[mask, "first"].accuracy)
        if len(other):
            store.measure([best], store[best, "first"].kind, "other", other)
    return list(store.results.values())


def table(results: Sequence[Measurement]) -> str:
    """Markdown table: worst, mean and best mask per number of skipped blocks, and the best found on other images."""
    rows = ["| blocks skipped | masks | worst | mean | best | best found, other images |", "|---|---|---|---|---|---|"]
    for skipped in sorted({result.skipped for result in results}):
        measured = [result for result in results if result.skipped == skipped]
        values = [result.accuracy for result in measured if result.kind == "random" and result.images == "first"]
        count = len(values)
        masks = f"all {count}" if skip_masks.is_exhaustive(len(measured[0].mask), skipped, count) else f"{count} random"
        found = " ".join(f"{result.accuracy:.1f}" for result in measured if result.images == "other") or "-"
        mean = sum(values) / count
        rows.append(f"| {skipped} | {masks} | {min(values):.1f} | {mean:.1f} | {max(values):.1f} | {found} |")
    return "\n".join(rows)


class _Store:
    """Results in a file, each measured once."""

    def __init__(self, path: Path, accuracies_of: Callable[[list[str], Part], list[float]]) -> None:
        self.path = path
        self.accuracies_of = accuracies_of
        known = read(path) if path.exists() else []
        self.results = {(result.mask, result.images): result for result in known}

    def __getitem__(self, key: tuple[str, Images]) -> Measurement:
        return self.results[key]

    def measure(self, masks: Iterable[str], kind: Kind, images: Images, part: Part) -> None:
        new = [mask for mask in masks if (mask, images) not in self.results]
        if not new:
            return
        for mask, accuracy in zip(new, self.accuracies_of(new, part), strict=True):
            self.results[mask, images] = Measurement(mask.count("0"), mask, kind, images, accuracy)
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Measurement)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(result) for result in self.results.values())


def _measurer(network: GatedNetwork, dataset: Dataset, plan: Plan) -> Callable[[list[str], Part], list[float]]:
    """Give what measures masks on images, with the statistics of the plan."""
    statistics_images = dataset.preprocessing(dataset.train.slice(0, STATISTICS_IMAGES).images)
    if plan.statistics == "shared":
        everywhere = [
            skip_masks.sample(network.gates(), skipped, 1, plan.seed)[0] for skipped in range(network.gates() + 1)
        ]
        network = recompute(network, statistics_images, list(map(skip_masks.parse, everywhere)), STATISTICS_BATCH)

    def measured(masks: list[str], part: Part) -> list[float]:
        # `disable=None` shows the bar on a terminal only.
        with tqdm(total=len(masks) * len(part), unit="image", unit_scale=True, disable=None, leave=False) as progress:
            parsed = list(map(skip_masks.parse, masks))
            if plan.statistics != "each":
                return accuracies(network, part, dataset.preprocessing, parsed, progress)
            own = (recompute(network, statistics_images, [mask], STATISTICS_BATCH) for mask in parsed)
            return [
                accuracies(adapted, part, dataset.preprocessing, [mask], progress)[0]
                for adapted, mask in zip(own, parsed, strict=True)
            ]

    return measured
