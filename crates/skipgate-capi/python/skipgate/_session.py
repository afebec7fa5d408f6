"""Running networks."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Union

import numpy as np

from ._artifact import Artifact, Tensor
from ._errors import ArgumentError
from ._library import Elements, check, library

Mask = Union[str, Sequence[bool], np.ndarray]
"""Which blocks run: a text of 0 and 1, booleans, or an array of them; one for each gate, true for run."""


class Session:
    """A network that is ready to run. Threads may share one, and then wait for each other; better is one for each."""

    def __init__(self, artifact: Artifact, threads: int = 1) -> None:
        """Load `artifact`. With 1 thread, the caller does all the work; more need a 64-bit machine."""
        self._handle = ctypes.c_void_p()
        self._lock = threading.Lock()
        if threads < 1:
            raise ArgumentError(f"a session takes 1 thread or more, not {threads}")
        self._specs = artifact.inputs, artifact.outputs
        self._gates = len(artifact.gates)
        self._inputs = _elements(artifact.inputs)
        self._outputs = _elements(artifact.outputs)
        check(library.skipgate_session_new(artifact.handle, threads, ctypes.byref(self._handle)))

    def run(self, image: np.ndarray, mask: Mask, out: np.ndarray | None = None) -> np.ndarray:
        """Run a network of one input and one output on `image` with the blocks of `mask`.

        `image` is of the input's type, and of its shape or of that without leading ones. It is read in place if it is
        contiguous. The result is a new array, or `out`, which is written in place.
        """
        inputs, outputs = self._specs
        if len(inputs) != 1 or len(outputs) != 1:
            raise ArgumentError(
                f"the network has {len(inputs)} inputs and {len(outputs)} outputs; run_named takes and gives them"
            )
        result = np.empty(outputs[0].shape, outputs[0].dtype) if out is None else out
        if out is not None:
            _check(outputs[0], out)
            if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
                raise ArgumentError("`out` is not contiguous, not aligned or not writeable")
        self._call([_readable(inputs[0], image)], mask, [result])
        return result

    def run_named(self, inputs: Mapping[str, np.ndarray], mask: Mask) -> dict[str, np.ndarray]:
        """Run any network on its inputs by name, and give its outputs by name."""
        specs, outputs = self._specs
        names = [spec.name for spec in specs]
        if sorted(names) != sorted(inputs):
            raise ArgumentError(f"the network takes the inputs {_listed(names)}; found {_listed(inputs)}")
        results = [np.empty(spec.shape, spec.dtype) for spec in outputs]
        self._call([_readable(spec, inputs[spec.name]) for spec in specs], mask, results)
        return {spec.name: result for spec, result in zip(outputs, results)}

    def _call(self, inputs: list[np.ndarray], mask: Mask, outputs: list[np.ndarray]) -> None:
        bits = _bits(mask, self._gates)
        # Without the lock, two threads would be in one session at once: ctypes lets go of the interpreter for a call.
        with self._lock:
            if not self._handle:
                raise ArgumentError("the session is closed")
            for places, arrays in ((self._inputs, inputs), (self._outputs, outputs)):
                for place, array in zip(places, arrays):
                    place.data = array.ctypes.data
                    place.bytes = array.nbytes
            check(
                library.skipgate_session_run_named(
                    self._handle,
                    self._inputs,
                    len(inputs),
                    bits.ctypes.data,
                    bits.size,
                    self._outputs,
                    len(outputs),
                )
            )

    def close(self) -> None:
        """Lets go of its memory, after the call that is running."""
        with self._lock:
            handle, self._handle = self._handle, ctypes.c_void_p()
            library.skipgate_session_free(handle)

    def __enter__(self) -> Session:
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


def _elements(specs: Sequence[Tensor]) -> ctypes.Array[Elements]:
    return (Elements * len(specs))(*(Elements(spec.name.encode(), None, 0) for spec in specs))


def _readable(spec: Tensor, array: np.ndarray) -> np.ndarray:
    """`array` as C can read it: itself if it is contiguous and aligned, else a copy."""
    _check(spec, array)
    return np.require(array, requirements=("C", "A"))


def _check(spec: Tensor, array: np.ndarray) -> None:
    if not isinstance(array, np.ndarray):
        raise ArgumentError(f"`{spec.name}` takes a numpy array, not {type(array).__name__}")
    if array.dtype != spec.dtype:
        raise ArgumentError(
            f"`{spec.name}` is of {spec.dtype}, found {array.dtype}; `.astype({str(spec.dtype)!r})` converts it"
        )
    if _without_leading_ones(array.shape) != _without_leading_ones(spec.shape):
        raise ArgumentError(f"`{spec.name}` is of shape {spec.shape}, found {array.shape}")


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def _bits(mask: Mask, gates: int) -> np.ndarray:
    """Turn the mask into bytes of 0 and 1."""
    if isinstance(mask, str):
        bits = _of_values([{"0": False, "1": True}.get(letter, letter) for letter in mask])
    elif isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.ndim == 1:
        bits = np.ascontiguousarray(mask)
    else:
        bits = _of_values(list(mask))
    if bits.size != gates:
        raise ArgumentError(f"the mask has {bits.size} elements, the network has {gates} gates")
    return bits


def _of_values(values: list[Any]) -> np.ndarray:
    for value in values:
        if not isinstance(value, (bool, int, np.bool_, np.integer)) or value not in (0, 1):
            raise ArgumentError(f"a mask is of 0 and 1 or of booleans; found {value!r}")
    return np.array(values, np.bool_)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
