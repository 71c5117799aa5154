"""Waiting for something to become true, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

_INTERVAL_SECONDS = 0.02


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Ask `true` every 20 ms until it answers yes or `seconds` have passed; the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := true()) and time.monotonic() < deadline:
        time.sleep(_INTERVAL_SECONDS)
    return answer
