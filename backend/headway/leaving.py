"""The end of a process that has done its work."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def leave(code: int = 0) -> NoReturn:
    """End without taking the libraries down one object at a time, which takes seconds with torch and transformers.

    What was registered for the end (temporary folders, helper processes) is done; threads are not waited for.
    """
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
