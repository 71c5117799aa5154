"""Imports that take less along: what a library uses if it is there, and nobody here uses of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """What is imported in this block finds none of `modules`, as where they are not installed; a loaded one stays.

    None in `sys.modules` is how Python notes that a module is not to be found (reference, "The module cache").
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] (None is for those that are not to be found)
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
