"""Runs the synchronous services in a bounded pool of threads; says so when it is full, instead of queueing for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from headway.errors import UnavailableError

T = TypeVar("T")
MOST_WAITING = 256
WAIT_SECONDS = 5.0


class WorkPool:
    """`threads` calls at once; at most MOST_WAITING wait for a thread, none longer than WAIT_SECONDS."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="headway-work")
        self._free = asyncio.Semaphore(threads)
        self._waiting = 0
        self.busy = 0

    async def run(self, call: Callable[[], T]) -> T:
        """`call()` in a thread, with the caller's context. Raises UnavailableError when no thread comes free."""
        await self._take_thread()
        self.busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, call)
        # the thread is free when the call is over, not when its caller loses patience
        future.add_done_callback(self._give_back)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Take no more calls; those under way end in their own time."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _take_thread(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise UnavailableError("The server is busy: try again in a few seconds.")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise UnavailableError("The server is busy: try again in a few seconds.") from None
        finally:
            self._waiting -= 1

    def _give_back(self, future: asyncio.Future[T]) -> None:
        self.busy -= 1
        self._free.release()
        if not future.cancelled():
            future.exception()  # seen by the caller, or by nobody when it is gone
