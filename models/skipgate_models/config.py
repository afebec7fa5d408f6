"""The TOML file that describes how one network is trained."""

import math
import sys
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Network:
    """Section `[network]`: a CIFAR ResNet; with `start_as_identity` every residual is zero before training."""

    depth: int
    shortcut: Literal["a", "b"] = "a"
    preactivation: bool = False
    start_as_identity: bool = False


@dataclass(frozen=True)
class StochasticDepth:
    """Section `[stochastic_depth]`: keep probability of the last block (1 = never drop anything)."""

    p_last: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Section `[schedule]`: SGD with Nesterov momentum, linear warm-up, then a cosine down to zero.

    In the last `fixed_statistics_epochs`, BatchNormalization computes as it will at test time, with the statistics
    collected so far. Without that, statistics averaged over many depths fit none of them, and skipping costs far
    more accuracy than it must.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_epochs: int = 5
    fixed_statistics_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_gradient: float = math.inf
    evaluate_every: int = 10


@dataclass(frozen=True)
class Augmentation:
    """Section `[augmentation]`: random shifts by at most this many pixels in each direction."""

    shift: int = 0


@dataclass(frozen=True)
class Config:
    """A whole file."""

    dataset: Literal["digits"]
    seed: int
    precision: Literal["fp32", "bf16"]
    network: Network
    schedule: Schedule
    stochastic_depth: StochasticDepth = field(default_factory=StochasticDepth)
    augmentation: Augmentation = field(default_factory=Augmentation)


def load(path: Path) -> Config:
    """Read a config file; `ValueError` if a key is unknown, missing or of another type."""
    with path.open("rb") as file:
        return from_table(tomllib.load(file), str(path))


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
    if is_dataclass(kind):
        return _build(kind, value, where)
    choices = getattr(kind, "__args__", None)
    if choices and value not in choices:
        raise ValueError(f"{where}: expected one of {list(choices)}, found {value!r}")
    allowed = (int, float) if kind is float else kind
    if not choices and (not isinstance(value, allowed) or (kind is not bool and isinstance(value, bool))):
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r}")
    return value
