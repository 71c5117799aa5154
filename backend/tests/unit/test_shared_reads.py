"""Reads shared by those who ask together, and never older than the asking."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headway.errors import UnavailableError
from headway.realtime.shared_reads import SharedReads


class Source:
    """Reads that end when they are let; each gives its number."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def read(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_herd_costs_two_reads_and_who_came_late_is_told_the_later_one() -> None:
    async def run() -> tuple[int, list[Any]]:
        source, reads = Source(), SharedReads()
        first = asyncio.create_task(reads.read("a", source.read))
        await settle()
        late = [asyncio.create_task(reads.read("a", source.read)) for _ in range(100)]
        await settle()
        source.gate.set()
        return source.begun, await asyncio.wait_for(asyncio.gather(first, *late), 5)

    begun, told = asyncio.run(run())
    assert (begun, told) == (1, [1] + [2] * 100)


def test_other_keys_do_not_wait() -> None:
    async def run() -> int:
        source, reads = Source(), SharedReads()
        tasks = [asyncio.create_task(reads.read(key, source.read)) for key in "abc"]
        await settle()
        source.gate.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        return source.begun

    assert asyncio.run(run()) == 3


def test_failure_is_told_to_all_and_the_next_read_is_made_anew() -> None:
    async def run() -> list[Any]:
        reads = SharedReads()

        async def fail() -> None:
            raise UnavailableError("away")

        async def succeed() -> str:
            return "here"

        both = await asyncio.gather(reads.read("a", fail), reads.read("a", fail), return_exceptions=True)
        return [*both, await reads.read("a", succeed)]

    first, second, third = asyncio.run(run())
    assert isinstance(first, UnavailableError)
    assert isinstance(second, UnavailableError)
    assert third == "here"


def test_who_loses_patience_takes_nobody_along() -> None:
    async def run() -> int:
        source, reads = Source(), SharedReads()
        one, other = (asyncio.create_task(reads.read("a", source.read)) for _ in range(2))
        await settle()
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        source.gate.set()
        return await asyncio.wait_for(other, 5)

    assert asyncio.run(run()) == 1
