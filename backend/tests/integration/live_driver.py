"""A Python client that the protocol test drives: commands as lines of JSON in, what it is told as lines of JSON out.

Twin of frontend/tests/live/driver.mjs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from headway.errors import HeadwayError
from headway.sdk.job_streams import EventStream, LogStream, MetricStream, Points
from headway.sdk.live import Live
from headway.sdk.streams import JobsStream, JobStream, Reset, Stream

STREAMS: dict[str, Any] = {"job": JobStream, "logs": LogStream, "events": EventStream, "metrics": MetricStream}


def say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def stream_of(what: str, job_id: str | None, held: int | None) -> Stream[Any]:
    if what == "jobs":
        return JobsStream()
    return STREAMS[what](job_id, *([] if held is None else [held]))


async def follow(live: Live, name: str, stream: Stream[Any]) -> None:
    try:
        async for told in live.follow(stream):
            if isinstance(told, Reset):
                say(stream=name, reset=told.why)
            else:
                say(stream=name, told=asdict(told) if isinstance(told, Points) else told)
        say(stream=name, over=True)
    except HeadwayError as error:
        say(stream=name, error=str(error))


async def report(live: Live) -> None:
    mode = ""
    while True:
        if live.mode != mode:
            mode = live.mode
            say(mode=mode)
        await asyncio.sleep(0.01)


async def main(url: str, token: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: list[asyncio.Task[None]] = []
    async with Live(url, token) as live:
        tasks.append(asyncio.create_task(report(live)))
        while line := await reader.readline():
            command = json.loads(line)
            if "follow" in command:
                stream = stream_of(command["follow"], command.get("job"), command.get("held"))
                tasks.append(asyncio.create_task(follow(live, command["follow"], stream)))
            else:
                await live.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
