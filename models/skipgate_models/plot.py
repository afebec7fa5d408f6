"""Plots as SVG or PNG: what a training did, and accuracy over the number of skipped blocks."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skipgate_models import depths, run
from skipgate_models.depths import RESULTS
from skipgate_models.files import replacing

# Equal data give equal files.
mpl.rcParams["svg.hashsalt"] = "skipgate"


def plot_log(runs: Sequence[Path], path: Path) -> None:
    """Plot loss and test accuracies over the epochs of one or more trainings to `path`."""
    figure, (loss, accuracy) = _figure(2)
    for folder in runs:
        rows = run.read_log(folder)
        _line(loss, rows, "loss", label=_name(folder))
        for column in (name for name in rows[0] if name.startswith("test_") and name != "test_blocks_skipped"):
            _line(accuracy, rows, column, label=f"{_name(folder)}, {column.removeprefix('test_').replace('_', ' ')}")
    loss.set(xlabel="epoch", ylabel="training loss")
    accuracy.set(xlabel="epoch", ylabel="test accuracy (%)")
    _finish(figure, path)


def plot_depths(results: Sequence[Path], path: Path) -> None:
    """Plot worst to best accuracy, its mean and the best masks found, one colour per results file, to `path`."""
    figure, (axes,) = _figure(1)
    for number, file in enumerate(results):
        _depths(axes, depths.read(file), label=_name(file), color=f"C{number}")
    axes.set(xlabel="blocks skipped", ylabel="test accuracy (%)", ylim=(0, 100))
    _finish(figure, path)


def _depths(axes: Axes, measured: Sequence[depths.Measurement], *, label: str, color: str) -> None:
    counts = sorted({result.skipped for result in measured})
    random = [
        [r.accuracy for r in measured if (r.skipped, r.kind, r.images) == (count, "random", "first")]
        for count in counts
    ]
    axes.fill_between(counts, list(map(min, random)), list(map(max, random)), alpha=0.2, color=color, linewidth=0)
    axes.plot(counts, [sum(values) / len(values) for values in random], color=color, label=f"{label}, mean and range")
    found = [(r.skipped, r.accuracy) for r in measured if r.images == "other"]
    if found:
        axes.plot(*zip(*found, strict=True), "o", markersize=4, color=color, label=f"{label}, best mask found")


def _line(axes: Axes, rows: Sequence[dict[str, str]], column: str, *, label: str) -> None:
    points = [(int(row["epoch"]), float(row[column])) for row in rows if row[column]]
    axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else "", label=label)


def _name(path: Path) -> str:
    """`resnet20` for the run folder or the results file of that name, or a results file in that folder.

    The networks of a teacher are called by the teacher and their number.
    """
    if path.is_dir():
        return f"{path.resolve().parent.name} {path.name}" if path.name.isdecimal() else path.name
    return path.resolve().parent.name if path.name == RESULTS else path.stem


def _figure(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(6.5 * count, 4.5), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _finish(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        # A training that has just begun has no accuracies yet.
        if axes.has_data():
            axes.legend(frameon=False)
    kind = path.suffix.removeprefix(".")
    if kind not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"{path}: expected a name that ends in .svg or .png")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
