"""The TOML file that describes how one network is trained."""

import dataclasses
import math
import sys
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Rule = Literal["linear", "uniform"]
Scaling = Literal["training", "test", "none"]
GateKind = Literal["ffgate1", "ffgate2"]
Padding = Literal["zero", "reflect"]
Decay = Literal["cosine", "linear"]
DatasetName = Literal["digits", "cifar10", "cifar100", "folder", "python"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Network:
    """Section `[network]`: a residual network by name, and where its weights come from.

    `name` is `cifar/resnetN`, `torchvision/NAME`, `timm/NAME`, `python/MODULE:FUNCTION` for a function that makes a
    network of one's own, or, for teachers, `wide/C1-C2-C3`. Shortcut, pre-activation and `start_as_identity` (every
    residual is zero before training) are for CIFAR ResNets. `initial` holds weights to start from: an ONNX file written
    by `export`, a run folder or a saved state dict, relative to the configuration file. A shallower CIFAR ResNet is
    deepened by blocks that start as the identity. `pretrained` takes the library's own weights, which it downloads.
    """

    name: str
    shortcut: Literal["a", "b"] = "a"
    preactivation: bool = False
    start_as_identity: bool = False
    initial: str = ""
    pretrained: bool = False


@dataclass(frozen=True)
class StochasticDepth:
    """Section `[stochastic_depth]`: keep probability of the last block (1 = never drop anything).

    `rule`: `uniform`, or `linear` if the probability falls from block to block (Huang et al. 2016, and the paper).
    `scaling`: whether residuals are divided by their keep probability in `training` (torchvision, timm) or multiplied
    by it at `test` time (Huang et al.), or neither (`none`).

    With `p_lowest`, the probability of every batch is drawn anew from `p_lowest` to `p_last`, so that a network sees
    all depths that it will be used at; its `scaling` is `none`. In a share of `whole` batches nothing is dropped. The
    range opens from `p_last` downwards during the first share `ramp` of the epochs.
    """

    p_last: float = 1.0
    p_lowest: float | None = None
    whole: float = 0.0
    ramp: float = 0.0
    rule: Rule = "uniform"
    scaling: Scaling = "training"


@dataclass(frozen=True)
class SkipNet:
    """Section `[skipnet]`: learned gates (Wang et al. 2018) instead of masks.

    `skip_reward` is subtracted from the loss for the share of blocks that an image skips; 0 is the supervised
    training of the paper.
    """

    gate: GateKind
    skip_reward: float = 0.0


@dataclass(frozen=True)
class Distillation:
    """Section `[distillation]`: learn from a teacher's logits in the folder that `bank` wrote.

    The loss is `weight * temperature^2 * KL(teacher || network)`, both at that temperature, and for the rest
    cross-entropy with the labels (Hinton et al. 2015).

    `teacher` is a `bank`, a folder relative to the configuration file (`train --bank` gives another one): images are
    then changed as in the bank, not as `[augmentation]` says. Or it is the network `itself` as it is before training.
    """

    teacher: Literal["bank", "itself"] = "bank"
    bank: str = ""
    temperature: float = 2.0
    weight: float = 0.9


@dataclass(frozen=True)
class Tuning:
    """Section `[tuning]`: train the whole network and the masks that are deployed, and no others.

    `tune --front` takes `masks` from a front. In each step the network learns as a whole, and under one of the masks
    from itself; in every step of `smallest_every` that is the mask which skips most.
    """

    masks: tuple[str, ...] = ()
    smallest_every: int = 4


@dataclass(frozen=True)
class Schedule:
    """Section `[schedule]`: SGD with Nesterov momentum and linear warm-up.

    The learning rate falls to zero along a cosine or a straight line (`decay`), or, if there are `steps`, pairs of
    epoch and rate, jumps to each rate at its epoch. `image_sizes`, pairs of epoch and pixels, trains on smaller images
    before the last pair. With `decay_filters_only`, weight decay leaves alone what is no filter: biases and
    BatchNormalization. `bias_rate` multiplies the learning rate of the latter. `average` is the share that the moving
    average of the weights keeps in each step; the average is what is tested and exported (0 = no average).

    In the last `fixed_statistics_epochs`, BatchNormalization computes as it will at test time, with the statistics
    collected so far. Without that, statistics averaged over many depths fit none of them, and skipping costs far
    more accuracy than it must.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_epochs: float = 5
    steps: tuple[tuple[int, float], ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()
    fixed_statistics_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay: Decay = "cosine"
    decay_filters_only: bool = False
    bias_rate: float = 1.0
    average: float = 0.0
    label_smoothing: float = 0.0
    clip_gradient: float = math.inf
    evaluate_every: int = 10


@dataclass(frozen=True)
class Augmentation:
    """Section `[augmentation]`: random shifts by at most that many pixels, and mirroring left to right.

    What moves in at a border is `zero`, or the image's own pixels by `reflect`.
    """

    shift: int = 0
    flip: bool = False
    padding: Padding = "zero"


@dataclass(frozen=True)
class Config:
    """A whole file."""

    dataset: DatasetName
    seed: int
    precision: Precision
    network: Network
    schedule: Schedule
    stochastic_depth: StochasticDepth = field(default_factory=StochasticDepth)
    augmentation: Augmentation = field(default_factory=Augmentation)
    skipnet: SkipNet | None = None
    distillation: Distillation | None = None
    tuning: Tuning | None = None
    # Side of the square that images of folders are resized and cropped to; that of the images of `python`.
    image_size: int = 224
    # MODULE:FUNCTION that gives the `data.Dataset` of the data set `python`.
    source: str = ""


def load(path: Path) -> Config:
    """Read a config file; `ValueError` if a key is unknown, missing or of another type."""
    with path.open("rb") as file:
        config = from_table(tomllib.load(file), str(path))

    def beside(name: str) -> Path | None:
        return (path.parent / name).resolve() if name else None

    bank = config.distillation.bank if config.distillation else ""
    return with_paths(config, initial=beside(config.network.initial), bank=beside(bank))


def with_paths(config: Config, *, initial: Path | None = None, bank: Path | None = None) -> Config:
    """Replace the weights to start from and the bank to learn from, if given."""
    if initial is not None:
        config = dataclasses.replace(config, network=dataclasses.replace(config.network, initial=str(initial)))
    if bank is not None:
        if config.distillation is None:
            raise ValueError(f"{bank}: the recipe has no [distillation], which would say how to learn from a bank")
        config = dataclasses.replace(config, distillation=dataclasses.replace(config.distillation, bank=str(bank)))
    return config


def from_table(table: dict[str, Any], where: str) -> Config:
    """Make a config from the table of a TOML file; `where` names it in errors."""
    return _build(Config, table, where)


def _build(kind: type, table: dict[str, Any], where: str) -> Any:  # noqa: ANN401 - an instance of `kind`
    """Make the dataclass `kind` from a TOML table."""
    hints = get_type_hints(kind)
    unknown = table.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}, expected {[f.name for f in fields(kind)]}")
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - any TOML value
    if isinstance(kind, UnionType):
        return None if value is None else _value(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return _build(kind, value, where)
    if kind == tuple[str, ...]:
        return tuple(_value(str, item, where) for item in value)
    if get_origin(kind) is tuple:
        return _pairs(get_args(get_args(kind)[0]), value, where)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{where}: expected one of {list(get_args(kind))}, found {value!r}")
        return value
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r}")
    return value


def _pairs(kinds: tuple[type, type], value: Any, where: str) -> tuple[tuple[int | float, ...], ...]:  # noqa: ANN401
    """Check a list of pairs, each of an epoch and what holds from it on; epochs must rise."""
    shape = f"[[{kinds[0].__name__}, {kinds[1].__name__}], ...] with rising epochs"
    is_list = isinstance(value, list | tuple) and all(isinstance(p, list | tuple) and len(p) == 2 for p in value)
    if not is_list or list(value) != sorted(value, key=lambda pair: pair[0]):
        raise ValueError(f"{where}: expected {shape}, found {value!r}")
    return tuple(tuple(_value(kind, item, where) for kind, item in zip(kinds, pair, strict=True)) for pair in value)
