"""A process that ends when its parent ends, so that not even SIGKILL of `headway up` leaves anything behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PARENT_PID = "HEADWAY_PARENT_PID"
_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 1.0


def end_with_parent(death_signal: int = signal.SIGTERM) -> None:
    """Let the kernel send `death_signal` to this process when its parent ends, if HEADWAY_PARENT_PID names the parent.

    Does nothing without that variable, which is removed: it speaks of this process, not of those it starts. Linux
    forgets the wish at a change of user, so call this after it; an exec keeps it. Elsewhere a thread looks each second.
    """
    parent = os.environ.pop(PARENT_PID, "")
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(int(parent), death_signal), daemon=True).start()
    if os.getppid() != int(parent):  # it ended before the kernel knew of our wish
        os.kill(os.getpid(), death_signal)


def _watch(parent: int, death_signal: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), death_signal)
