"""Calls that may never come back (a GPU's driver, a file system of the network), kept from holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Guarded(Generic[T]):
    """Runs a call in a daemon thread and waits for it `timeout` seconds at most.

    While a call hangs no other is begun: there is at most one such thread, and it holds up no exit.
    """

    def __init__(self, call: Callable[[], T], timeout: float) -> None:
        self._call = call
        self._timeout = timeout
        self._under_way: Future[T] | None = None

    def __call__(self) -> T:
        """What the call answers. Raises TimeoutError when it does not in time, and whatever it raises itself."""
        if self._under_way is None or self._under_way.done():
            self._under_way = Future()
            threading.Thread(target=self._run, args=(self._under_way,), name="headway-guarded", daemon=True).start()
            return self._under_way.result(self._timeout)
        raise TimeoutError("an earlier call still hangs")

    def _run(self, answer: Future[T]) -> None:
        try:
            answer.set_result(self._call())
        except BaseException as error:
            answer.set_exception(error)
