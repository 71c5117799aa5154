"""Equal reads that are asked for together, made once: a herd that comes back costs a read or two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any


class SharedReads:
    """Reads by key, one of each at a time.

    Who asks while one is under way shares the next one: a subscription's snapshot must have been read after it joined
    its room, or what was pushed between is lost.
    """

    def __init__(self) -> None:
        self._begun: dict[Hashable, asyncio.Task[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, key: Hashable, call: Callable[[], Awaitable[Any]]) -> Any:
        """What a `call()` that began after this gives or raises."""
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._run(key, call))
        return await asyncio.shield(self._next[key])

    async def _run(self, key: Hashable, call: Callable[[], Awaitable[Any]]) -> Any:
        if key in self._begun:
            await asyncio.wait([self._begun[key]])
        task = self._begun[key] = self._next.pop(key)
        try:
            return await call()
        finally:
            if self._begun[key] is task:
                del self._begun[key]
