"""The TOML file that describes how one network is trained."""

import dataclasses
import math
import sys
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Rule = Literal["linear", "uniform"]
Scaling = Literal["training", "test"]
GateKind = Literal["ffgate1", "ffgate2"]


@dataclass(frozen=True)
class Network:
    """Section `[network]`: a residual network by name, and where its weights come from.

    `name` is `cifar/resnetN`, `torchvision/NAME` or `timm/NAME`. Shortcut, pre-activation and `start_as_identity`
    (every residual is zero before training) are for CIFAR ResNets. `initial` holds weights to start from: an ONNX file
    written by `export`, a run folder or a saved state dict, relative to the configuration file. A shallower CIFAR
    ResNet is deepened by blocks that start as the identity. `pretrained` takes the
    library's own weights, which it downloads.
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
    by it at `test` time (Huang et al.).
    """

    p_last: float = 1.0
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
class Schedule:
    """Section `[schedule]`: SGD with Nesterov momentum and linear warm-up.

    The learning rate falls along a cosine to zero, or, if there are `steps`, pairs of epoch and rate, jumps to each
    rate at its epoch. `image_sizes`, pairs of epoch and pixels, trains on smaller images before the last pair.

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
    label_smoothing: float = 0.0
    clip_gradient: float = math.inf
    evaluate_every: int = 10


@dataclass(frozen=True)
class Augmentation:
    """Section `[augmentation]`: random shifts by at most that many pixels, and mirroring left to right."""

    shift: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Config:
    """A whole file."""

    dataset: Literal["digits", "cifar10", "cifar100", "folder"]
    seed: int
    precision: Literal["fp32", "bf16"]
    network: Network
    schedule: Schedule
    stochastic_depth: StochasticDepth = field(default_factory=StochasticDepth)
    augmentation: Augmentation = field(default_factory=Augmentation)
    skipnet: SkipNet | None = None
    # Side of the square that images of folders are resized and cropped to.
    image_size: int = 224


def load(path: Path) -> Config:
    """Read a config file; `ValueError` if a key is unknown, missing or of another type."""
    with path.open("rb") as file:
        config = from_table(tomllib.load(file), str(path))
    if not config.network.initial:
        return config
    initial = str((path.parent / config.network.initial).resolve())
    return dataclasses.replace(config, network=dataclasses.replace(config.network, initial=initial))


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
    if kind == SkipNet | None:
        return None if value is None else _build(SkipNet, value, where)
    if is_dataclass(kind):
        return _build(kind, value, where)
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
