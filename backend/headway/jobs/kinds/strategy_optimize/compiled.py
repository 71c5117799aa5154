"""Compiles functions that hold numbers and arrays to machine code, run without the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

#: Machine code is kept between processes where the installation names a folder for it.
KEPT = bool(os.environ.get("NUMBA_CACHE_DIR"))


def compiled(function: F) -> F:
    """Compile `function` at its first call."""
    return cast("F", numba.njit(function, nogil=True, cache=KEPT))  # type: ignore[no-untyped-call]
