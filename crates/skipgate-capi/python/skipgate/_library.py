"""The C interface, as ctypes sees it. `skipgate.h` says what each function promises."""

from __future__ import annotations

import ctypes
from pathlib import Path

from ._errors import ArgumentError, ArtifactError, Error, RunError

_FILE = Path(__file__).with_name("libskipgate.so")


class Tensor(ctypes.Structure):
    """`struct skipgate_tensor`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("element_type", ctypes.c_int),
        ("rank", ctypes.c_size_t),
        ("shape", ctypes.POINTER(ctypes.c_size_t)),
        ("bytes", ctypes.c_size_t),
    )


class Elements(ctypes.Structure):
    """`struct skipgate_input` and `struct skipgate_output`, which have the same fields."""

    _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


class Configuration(ctypes.Structure):
    """`struct skipgate_configuration`."""

    _fields_ = (
        ("mask", ctypes.POINTER(ctypes.c_bool)),
        ("gates", ctypes.c_size_t),
        ("accuracy", ctypes.c_double),
        ("accuracy_low", ctypes.c_double),
        ("accuracy_high", ctypes.c_double),
        ("latency", ctypes.c_double),
        ("latency_unit", ctypes.c_int),
    )


_HANDLE = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_SIZE = ctypes.c_size_t

# Name, type of the result, types of the parameters. A result of int is a status.
_FUNCTIONS = (
    ("skipgate_last_error", ctypes.c_char_p, ()),
    ("skipgate_artifact_open", ctypes.c_int, (ctypes.c_char_p, _OUT)),
    ("skipgate_artifact_free", None, (_HANDLE,)),
    ("skipgate_artifact_inputs", _SIZE, (_HANDLE,)),
    ("skipgate_artifact_outputs", _SIZE, (_HANDLE,)),
    ("skipgate_artifact_input", ctypes.c_int, (_HANDLE, _SIZE, ctypes.POINTER(Tensor))),
    ("skipgate_artifact_output", ctypes.c_int, (_HANDLE, _SIZE, ctypes.POINTER(Tensor))),
    ("skipgate_artifact_configurations", _SIZE, (_HANDLE,)),
    ("skipgate_artifact_configuration", ctypes.c_int, (_HANDLE, _SIZE, ctypes.POINTER(Configuration))),
    ("skipgate_session_new", ctypes.c_int, (_HANDLE, _SIZE, _OUT)),
    ("skipgate_session_free", None, (_HANDLE,)),
    (
        "skipgate_session_run_named",
        ctypes.c_int,
        (
            _HANDLE,
            ctypes.POINTER(Elements),
            _SIZE,
            ctypes.c_void_p,
            _SIZE,
            ctypes.POINTER(Elements),
            _SIZE,
        ),
    ),
)

# enum skipgate_status
_ERRORS = {1: ArgumentError, 2: ArtifactError, 3: RunError}


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(_FILE))
    for name, result, parameters in _FUNCTIONS:
        function = getattr(library, name)
        function.restype = result
        function.argtypes = parameters
    return library


library = _load()


def check(status: int) -> None:
    """Raise what a status stands for, with the library's words for what is wrong."""
    if status != 0:
        raise _ERRORS.get(status, Error)(library.skipgate_last_error().decode())
