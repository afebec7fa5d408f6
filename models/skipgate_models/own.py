"""What users bring along: functions of their own modules."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def function(name: str) -> Callable[[], Any]:
    """Import `FUNCTION` of `MODULE:FUNCTION`; modules in the current folder are found, as with `python -m`."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(f"expected MODULE:FUNCTION, found {name!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from error
