"""Compiled networks."""

from __future__ import annotations

import ctypes
import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, NamedTuple

import numpy as np

from . import _library
from ._errors import ArgumentError
from ._library import check, library

# enum skipgate_element_type
_TYPES = (np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_)
# enum skipgate_latency_unit
_LATENCY_UNITS = (None, "microseconds", "instructions")


def _known(number: float) -> float | None:
    """Return what the C interface knows: it says nothing by a number that is none."""
    return None if math.isnan(number) else number


class Tensor(NamedTuple):
    """An input or output of a network."""

    name: str
    """Its name in the ONNX model."""
    shape: tuple[int, ...]
    """Extent of every dimension, outermost first."""
    dtype: np.dtype[Any]
    """Type of its elements."""


class Gate(NamedTuple):
    """A block that can be skipped: element i of a mask belongs to gate i."""

    block: str
    """Name of the block."""
    segment: int
    """The run of blocks with one output shape that it belongs to."""
    macs: int
    """Multiplications that are saved when it is skipped."""
    parameters: int
    """Weights of the block."""


class Configuration(NamedTuple):
    """A mask of the front that `skipgate pareto` found."""

    mask: np.ndarray
    """True for every block that runs."""
    accuracy: float | None
    """From 0 to 1, if it was measured."""
    accuracy_interval: tuple[float, float] | None
    """Where the accuracy lies with a probability of 95 %, if that is known."""
    latency: float | None
    """Of one image, if it was measured."""
    latency_unit: str | None
    """`microseconds` or `instructions`, if the front says so."""


class Artifact:
    """A compiled network, from the folder that `skipgate compile` wrote.

    It can be closed, by hand or by `with`, once its sessions are made: they stay usable.
    """

    path: Path
    """The folder."""
    inputs: tuple[Tensor, ...]
    """What the network takes, the mask left out."""
    outputs: tuple[Tensor, ...]
    """What it gives."""
    manifest: dict[str, Any]
    """Everything that `manifest.json` says."""
    gates: tuple[Gate, ...]
    """The blocks that can be skipped, in the order of a mask."""
    class_names: tuple[str, ...]
    """Names of the classes, if they are known."""
    configurations: tuple[Configuration, ...]
    """The front, if `skipgate pareto` wrote one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the artifact in the folder `path`, and check its versions, its target and its hashes."""
        self._handle = ctypes.c_void_p()
        self.path = Path(path)
        check(library.skipgate_artifact_open(os.fsencode(path), ctypes.byref(self._handle)))
        self.inputs = self._tensors(library.skipgate_artifact_inputs, library.skipgate_artifact_input)
        self.outputs = self._tensors(library.skipgate_artifact_outputs, library.skipgate_artifact_output)
        self.manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        self.gates = tuple(Gate(*map(gate.get, Gate._fields)) for gate in self.manifest["gates"])
        self.class_names = tuple(self.manifest.get("class_names", ()))
        count = library.skipgate_artifact_configurations(self._handle)
        self.configurations = tuple(map(self._configuration, range(count)))

    def _tensors(self, count: Callable[..., int], describe: Callable[..., int]) -> tuple[Tensor, ...]:
        found = _library.Tensor()
        tensors = []
        for number in range(count(self._handle)):
            check(describe(self._handle, number, ctypes.byref(found)))
            shape = tuple(found.shape[: found.rank])
            tensors.append(Tensor(found.name.decode(), shape, np.dtype(_TYPES[found.element_type])))
        return tuple(tensors)

    def _configuration(self, number: int) -> Configuration:
        found = _library.Configuration()
        check(library.skipgate_artifact_configuration(self._handle, number, ctypes.byref(found)))
        low, high = _known(found.accuracy_low), _known(found.accuracy_high)
        return Configuration(
            # A copy: the original goes with the artifact.
            np.array(found.mask[: found.gates], np.bool_),
            _known(found.accuracy),
            None if low is None or high is None else (low, high),
            _known(found.latency),
            _LATENCY_UNITS[found.latency_unit],
        )

    @property
    def handle(self) -> ctypes.c_void_p:
        """What the C interface knows the artifact by."""
        if not self._handle:
            raise ArgumentError(f"the artifact {self.path} is closed")
        return self._handle

    def close(self) -> None:
        """Lets go of its memory. Sessions made from it stay usable."""
        handle, self._handle = self._handle, ctypes.c_void_p()
        library.skipgate_artifact_free(handle)

    def __enter__(self) -> Artifact:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"skipgate.Artifact({str(self.path)!r})"
