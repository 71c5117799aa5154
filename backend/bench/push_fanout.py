"""From a committed push to many clients: `python backend/bench/push_fanout.py [scenario ...] [--urls URL ...]`.

Beside bare python-socketio in the same run, tuned alike: `one` client's delay; a `room` of 1000 clients at 10 messages
a second; 50 of 200 clients that read no more for two minutes (`stalled`); 200 clients of a log while two instances are
`killed` and started in turn. Aims: p50 at most 2 ms over the bare one; p99 at most 1.5 times its, all delivered;
memory + 150 MB at most and the others' p99 at most 500 ms; no gap, no duplicate, back within 1 s (p99). With --urls
the first two are measured at an installation that runs, behind nginx say, whose settings are in the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
import socketio
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.push_bare import TOPIC
from bench.push_clients import Load, clients, expect, open_socket
from bench.push_kill import SETTLE_SECONDS, survive
from bench.services import embedded_installation
from headway.access import ensure_token
from headway.bootstrap import Runtime, open_runtime, realtime_redis_url
from headway.local.valkey import free_port
from headway.realtime.channels import Message
from headway.settings import load_settings
from tests.installation import wait_until

CHANNEL = "operations"
EVENT = "job:changed"
RATE = 10.0
STALL_SECONDS = 120.0

Emit = Callable[[dict[str, Any]], None]


async def send(emit: Emit, seconds: float, rate: float, padding: int) -> int:
    """Messages at a steady rate, each with its time; how many."""
    count = int(seconds * rate)
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        payload = {"channel": CHANNEL, "revision": number, "job_id": str(number), "at": time.time(), "x": "x" * padding}
        await asyncio.to_thread(emit, payload)
    return count


async def fan_out(
    urls: Sequence[str], token: str, emit: Emit, count: int, seconds: float, rate: float, pad: int
) -> Load:
    """What `count` clients of one room see."""
    async with clients(urls, token, CHANNEL, count) as load:
        sent = await send(emit, seconds, rate, pad)
        # a busy machine is late, which the delays tell; what is counted is what never comes
        await asyncio.to_thread(arrived, load, sent * count)
    if load.heard != sent * count:
        Console().print(f"[red]{load.heard} of {sent * count} messages arrived")
    return load


def arrived(load: Load, messages: int) -> bool:
    """Wait until all have arrived, or nothing more can be hoped for."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while load.heard < messages and time.monotonic() < deadline:
        time.sleep(0.05)
    return load.heard == messages


@asynccontextmanager
async def stalled(url: str, token: str, count: int) -> AsyncIterator[None]:
    """Clients that subscribe and then read no more."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        for _ in range(count):
            socket = await stack.enter_async_context(open_socket(session, url))
            await socket.send_str(f'40{{"token":"{token}"}}')
            await expect(socket, "40")
            await socket.send_str(f'420["subscribe",{{"channel":"{CHANNEL}"}}]')
            await expect(socket, "430")
            connection = socket._response.connection
            if connection is not None and connection.transport is not None:
                connection.transport.pause_reading()
        yield


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of all lie; not a number without any."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def kill_in_turn(instances: list[subprocess.Popen[bytes]], urls: Sequence[str]) -> None:
    """SIGKILL each instance and start it again, three seconds apart."""
    for place, url in enumerate(urls):
        await asyncio.sleep(3)
        instances[place] = await asyncio.to_thread(start_again, instances[place], url)
    await asyncio.sleep(3)


def start_again(instance: subprocess.Popen[bytes], url: str) -> subprocess.Popen[bytes]:
    """Kill an instance and start one like it at the same address."""
    environment = psutil.Process(instance.pid).environ() | {"HEADWAY_PORT": url.rpartition(":")[2]}
    instance.kill()
    instance.wait()
    command = [sys.executable, "-m", "headway.cli.main", "api"]
    started = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: answers(url), what=f"{url} again")
    return started


def answers(url: str) -> bool:
    """Whether an instance is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=1, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass(frozen=True, slots=True)
class Measured:
    """The installation that is measured; `instances` are its processes, in the order of `urls`, where they are ours."""

    runtime: Runtime
    urls: Sequence[str]
    token: str
    seconds: float
    instances: list[subprocess.Popen[bytes]] = field(default_factory=list["subprocess.Popen[bytes]"])

    def emit(self, payload: dict[str, Any]) -> None:
        """Push as a commit does."""
        self.runtime.signals.publish([Message(CHANNEL, EVENT, payload, replaces=False)])


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what, ours, the bare server's, the aim and whether it was met."""

    what: str
    ours: str
    bare: str
    aim: str
    met: bool


async def one_client(it: Measured, bare: str, bare_emit: Emit) -> list[Row]:
    """The delay of a single client, by turns."""
    ways = ((it.urls, it.emit), ([bare], bare_emit))
    loads = [await fan_out(urls, it.token, emit, 1, it.seconds / 2, 20, 0) for urls, emit in ways]
    ours, theirs = (statistics.median(load.delays_ms) for load in loads)
    return [Row("1 client, p50", f"{ours:.2f} ms", f"{theirs:.2f} ms", "+ 2 ms", ours <= theirs + 2)]


async def full_room(it: Measured, bare: str, bare_emit: Emit) -> list[Row]:
    """A thousand clients of one channel, by turns."""
    ways = ((it.urls, it.emit), ([bare], bare_emit))
    loads = [await fan_out(urls, it.token, emit, 1000, it.seconds, RATE, 500) for urls, emit in ways]
    p99 = [percentile(load.delays_ms, 0.99) for load in loads]
    shown = [f"{statistics.median(load.delays_ms):.0f} / {p:.0f} ms" for load, p in zip(loads, p99, strict=True)]
    whole = [load.heard / (int(it.seconds * RATE) * 1000) for load in loads]
    return [
        Row("1000 clients, p50 / p99", *shown, "p99 x 1.5", p99[0] <= 1.5 * p99[1]),
        Row("1000 clients, delivered", f"{whole[0]:.2%}", f"{whole[1]:.2%}", "all", whole[0] == 1),
    ]


async def some_stalled(it: Measured, *_: Any) -> list[Row]:
    """Clients that read no more, and what the others and the instance have of it."""
    process = psutil.Process(it.instances[0].pid)
    async with clients(it.urls[:1], it.token, CHANNEL, 150) as load, stalled(it.urls[0], it.token, 50):
        before = process.memory_info().rss
        watching = asyncio.create_task(peak_memory(process))
        await send(it.emit, STALL_SECONDS, RATE, 8_000)
        watching.cancel()
        grown = (await watching - before) / 1e6
    p99 = percentile(load.delays_ms, 0.99)
    what = f"50 of 200 stalled for {STALL_SECONDS:g} s"
    return [
        Row(f"{what}, p99 of the others", f"{p99:.0f} ms", "", "500 ms", p99 <= 500),
        Row(f"{what}, memory at its peak", f"{grown:+.0f} MB", "", "+ 150 MB", grown <= 150),
    ]


async def peak_memory(process: psutil.Process) -> int:
    """The most bytes that were resident until this is cancelled."""
    most = 0
    with suppress(asyncio.CancelledError):
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.2)
    return most


async def instances_killed(it: Measured, *_: Any) -> list[Row]:
    """A log's clients while both instances are killed in turn."""
    survival = await survive(it.runtime, it.urls, it.token, lambda: kill_in_turn(it.instances, it.urls))
    away = percentile(survival.away_seconds, 0.99)
    kept = f"{survival.gaps} / {survival.duplicates} of {survival.lines * 200}"
    what = "200 clients, instances killed"
    return [
        Row(f"{what}: gaps / duplicates", kept, "", "0 / 0", not (survival.gaps or survival.duplicates)),
        Row(f"{what}: back, p99", f"{away:.2f} s", "", "1 s", away <= 1),
    ]


#: By name; the first two need nothing but an address.
SCENARIOS: dict[str, Callable[[Measured, str, Emit], Awaitable[list[Row]]]] = {
    "one": one_client,
    "room": full_room,
    "stalled": some_stalled,
    "killed": instances_killed,
}
ANYWHERE = ("one", "room")


async def measure(it: Measured, bare: str, scenarios: Sequence[str]) -> bool:
    """Run the scenarios, print the table; whether every aim was met."""
    manager = socketio.RedisManager(realtime_redis_url(it.runtime.settings), TOPIC, write_only=True)
    bare_emit: Emit = partial(manager.emit, EVENT, room=CHANNEL)
    rows = [row for name in scenarios for row in await SCENARIOS[name](it, bare, bare_emit)]
    table = Table("scenario", "headway", "bare python-socketio", "aim", "met")
    for row in rows:
        table.add_row(row.what, row.ours, row.bare, row.aim, "yes" if row.met else "no")
    load = os.getloadavg()[0]
    Console().print(table, f"load average {load:.1f} on {os.cpu_count()} cores, {it.seconds:g} s each")
    return all(row.met for row in rows)


def main() -> int:
    """Print the table; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long `one` and `room` take on each side")
    parser.add_argument("--urls", nargs="+", help="instances or an nginx of an installation whose settings are here")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if options.urls:
        settings = load_settings()
        runtime = open_runtime(settings)
        try:
            it = Measured(runtime, options.urls, ensure_token(settings), options.seconds)
            return run(it, options.scenarios or ANYWHERE)
        finally:
            runtime.close()
    with embedded_installation(HEADWAY_MAX_CLIENTS="2000") as installation:
        urls = [installation.start_api(), installation.start_api()]
        it = Measured(installation.runtime, urls, "test-token", options.seconds, installation.apis)
        return run(it, options.scenarios or tuple(SCENARIOS))


def run(it: Measured, scenarios: Sequence[str]) -> int:
    """Measure beside a bare server; the exit code."""
    port, redis = free_port(), realtime_redis_url(it.runtime.settings)
    bare = subprocess.Popen([sys.executable, str(Path(__file__).with_name("push_bare.py")), str(port), redis])
    try:
        return 0 if uvloop.run(measure(it, f"http://127.0.0.1:{port}", scenarios)) else 1
    finally:
        bare.kill()
        bare.wait()


if __name__ == "__main__":
    sys.exit(main())
