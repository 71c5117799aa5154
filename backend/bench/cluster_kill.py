"""Three API instances behind nginx, killed in turn and reloaded under load: `python backend/bench/cluster_kill.py`.

1. One client; from `emit` to its receipt through nginx and one of three instances, beside a bare python-socketio server
   without nginx on the same Redis, by turns. Aim: p50 <= 2 ms over.
2. 200 clients follow a job's log at 10 lines a second through `headway cluster`; each instance gets SIGKILL in turn,
   then nginx a reload. Aim: no gap, no line applied twice, each client whole again within 1 s (p99).
3. Redis is away while 20 clients of the SDK follow a job. Aim: all poll, and are pushed to again within 2 s after it
   answers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import socketio
from aiohttp import web
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.push_clients import Load, clients
from bench.push_kill import LineTeller
from headway.bootstrap import Runtime, open_runtime, push_topic, realtime_redis_url
from headway.local.installation import read_info
from headway.settings import Settings
from tests.cluster import TOKEN, Cluster, all_ready, cancel, following, running_cluster, submit_clock, until

CLIENTS, LINES_PER_SECOND = 200, 10.0
SDK_CLIENTS, STEP_SECONDS, MOST_STEPS = 20, 0.2, 100_000
AIM_OVER_MS, AIM_BACK_SECONDS, AIM_REDIS_SECONDS = 2.0, 1.0, 2.0
WAIT_SECONDS = 120.0
PINGS, PING_SECONDS = 600, 0.01
CHANNEL = "system/cpu"
#: None for the queue `cpu`: the log's job is this program's own. The SDK's clients follow one of the queue `io`.
SLOTS = "gpu=0,cpu=0,io=1,system=2"


class OneWay:
    """One client and what emits to it: milliseconds from emit to receipt."""

    def __init__(self, redis_url: str, topic: str) -> None:
        self._emitter = socketio.RedisManager(redis_url, topic, write_only=True)
        self._client = socketio.AsyncClient(reconnection=False)
        self._client.on("system:metrics", self._receive)
        self._heard = asyncio.Event()
        self.found: list[float] = []

    async def connect(self, address: str, *, subscribe: bool) -> None:
        """Sign in and join the channel; the bare server puts everybody into its room."""
        await self._client.connect(address, auth={"token": TOKEN}, transports=["websocket"])
        if subscribe:
            answer = await self._client.call("subscribe", {"channel": CHANNEL}, timeout=10)
            assert answer["ok"], answer
        while not self._heard.is_set():  # a bare server listens only some time after its first client came
            await self._send({"channel": CHANNEL})
            await asyncio.sleep(PING_SECONDS)

    async def emit(self) -> None:
        """Send the time."""
        await self._send({"sent": time.perf_counter(), "channel": CHANNEL})

    async def _send(self, data: dict[str, Any]) -> None:
        await asyncio.to_thread(self._emitter.emit, "system:metrics", data, room=CHANNEL)

    def _receive(self, payload: dict[str, Any]) -> None:
        self._heard.set()
        if "sent" in payload:  # the monitor uses the channel too
            self.found.append((time.perf_counter() - payload["sent"]) * 1e3)

    async def close(self) -> list[float]:
        """Wait for what is under way; all of it, sorted."""
        await until(lambda: len(self.found) >= PINGS, WAIT_SECONDS, "every message")
        await self._client.disconnect()
        return sorted(self.found)


async def serve_bare(redis_url: str, ports: Connection) -> None:
    """python-socketio as it comes, one instance on the same Redis; everybody is in the room."""
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(redis_url, "bare"))

    async def enter(sid: str, *_: Any) -> None:
        await server.enter_room(sid, CHANNEL)

    server.on("connect", enter)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports.send(runner.addresses[0][1])
    await asyncio.Event().wait()


def run_bare(redis_url: str, ports: Connection) -> None:
    """The process of the bare server."""
    asyncio.run(serve_bare(redis_url, ports))


@contextmanager
def bare_server(redis_url: str) -> Iterator[str]:
    """The bare server in a process of its own, as ours is."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_bare, args=(redis_url, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(WAIT_SECONDS), "the bare server did not start"
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


async def compare_latency(cluster: Cluster, runtime: Runtime) -> bool:
    """Part 1, printed; whether its aim is met."""
    url = realtime_redis_url(runtime.settings)
    ours, bare = OneWay(url, push_topic(runtime.engine)), OneWay(url, "bare")
    with bare_server(url) as address:
        await ours.connect(cluster.url, subscribe=True)
        await bare.connect(address, subscribe=False)
        for _ in range(PINGS):  # by turns, so that both meet the same machine
            for way in (ours, bare):
                await way.emit()
                await asyncio.sleep(PING_SECONDS)
        through, without = await ours.close(), await bare.close()
    table = Table("emit to client", "messages", "p50 ms", "p99 ms", "max ms")
    for name, found in (("nginx and 3 instances", through), ("bare python-socketio", without)):
        table.add_row(name, str(len(found)), *_quantiles(found))
    Console().print(table)
    over = statistics.median(through) - statistics.median(without)
    print(f"p50 over the bare server: {over:.2f} ms (aim {AIM_OVER_MS:g})")
    return over <= AIM_OVER_MS


async def kill_in_turn(cluster: Cluster, runtime: Runtime) -> bool:
    """Part 2, printed; whether its aims are met."""
    table = Table("blow", "cut off", "back p50 s", "p99 s", "max s", title=f"{CLIENTS} clients, 10 lines a second")
    teller = LineTeller(runtime, LINES_PER_SECOND)
    async with clients([cluster.url], TOKEN, f"jobs/{teller.job_id}/logs", CLIENTS) as load:
        teller.start()
        for number, port in enumerate(sorted(cluster.instances()), start=1):
            await _strike(table, load, f"instance {number} killed", lambda port=port: _kill(cluster, port))
        await _strike(table, load, "nginx reloaded", lambda: asyncio.to_thread(cluster.reload_nginx))
        await asyncio.to_thread(teller.stop)
        last = teller.lines
        await until(lambda: all(told[-1:] == [last] for told in load.lines), WAIT_SECONDS, "every line at every client")
    Console().print(table)
    gaps, twice, back = load.gaps(last), load.duplicates(), _at(sorted(load.away_seconds), 0.99)
    print(f"{last} lines: gaps {gaps}, applied twice {twice}, back p99 {back:.2f} s (aim {AIM_BACK_SECONDS:g} s)")
    return not gaps and not twice and back <= AIM_BACK_SECONDS


async def _strike(table: Table, load: Load, what: str, blow: Callable[[], Awaitable[None]]) -> None:
    """Strike, wait until every client has lines again, and note how long those that were cut off were away."""
    before = len(load.away_seconds)
    await blow()
    held = [len(told) for told in load.lines]
    await until(
        lambda: all(len(told) > had for told, had in zip(load.lines, held, strict=True)), WAIT_SECONDS, "new lines"
    )
    away = sorted(load.away_seconds[before:])
    table.add_row(what, str(len(away)), *(_quantiles(away) if away else "---"))


async def _kill(cluster: Cluster, port: int) -> None:
    instances = await asyncio.to_thread(cluster.instances)
    instances[port].kill()
    # seldom: to look through the processes takes from the clients, which are in this one
    await until(lambda: all_ready(cluster), WAIT_SECONDS, "every instance", every=0.5)


async def restart_redis(cluster: Cluster) -> bool:
    """Part 3, printed; whether its aim is met."""
    job = submit_clock(cluster, MOST_STEPS, STEP_SECONDS)
    async with following(cluster, job, SDK_CLIENTS) as crowd:
        await until(lambda: all(client.steps for client in crowd), WAIT_SECONDS, "points at every client")
        await asyncio.to_thread(cluster.stop_redis)
        await until(lambda: all("polled" in client.modes for client in crowd), WAIT_SECONDS, "polls by every client")
        answered = asyncio.create_task(asyncio.to_thread(cluster.start_redis))
        pushed: dict[int, float] = {}
        while len(pushed) < SDK_CLIENTS:
            for number, client in enumerate(crowd):
                if client.live.mode == "pushed":
                    pushed.setdefault(number, time.monotonic())
            await asyncio.sleep(0.01)
        answered_at = await answered
        back = sorted(max(0.0, at - answered_at) for at in pushed.values())
        cancel(cluster, job)
        await until(lambda: all(client.over for client in crowd), WAIT_SECONDS, "the end at every client")
    whole = all(client.steps == list(range(1, len(client.steps) + 1)) for client in crowd)
    whole = whole and len({len(client.steps) for client in crowd}) == 1
    print(
        f"Redis away: {SDK_CLIENTS} of {SDK_CLIENTS} clients of the SDK polled; pushed to again after it answered: "
        f"p50 {_at(back, 0.5):.2f} s, max {back[-1]:.2f} s (aim {AIM_REDIS_SECONDS:g} s); "
        f"{'every point once' if whole else 'POINTS MISSING'}"
    )
    return whole and back[-1] <= AIM_REDIS_SECONDS


def _quantiles(ordered: list[float]) -> list[str]:
    return [f"{_at(ordered, quantile):.2f}" for quantile in (0.5, 0.99, 1)]


def _at(ordered: list[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] if ordered else 0.0


def opened(cluster: Cluster) -> Runtime:
    """A runtime on the cluster's own Postgres and Redis."""
    running = read_info(cluster.data_dir)
    assert running is not None
    named = {"headway_database_url": running.database_url, "headway_redis_url": running.redis_url}
    return open_runtime(Settings.model_validate(named))


def main() -> int:
    """Print all parts; 1 when an aim is missed."""
    with running_cluster(HEADWAY_SLOTS=SLOTS) as cluster:
        runtime = opened(cluster)
        try:
            met = [
                asyncio.run(compare_latency(cluster, runtime)),
                asyncio.run(kill_in_turn(cluster, runtime)),
                asyncio.run(restart_redis(cluster)),
            ]
        finally:
            runtime.close()
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
