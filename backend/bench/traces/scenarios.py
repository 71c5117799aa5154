"""Small real jobs to record traces of: each does work on the CPU or over HTTP, in the shapes that training comes in."""

from __future__ import annotations

import ast
import bz2
import random
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from headway.domain.plan import PhaseSpec
from headway.jobs.context import JobContext

Config = Mapping[str, Any]
Run = Callable[[JobContext, Config], None]
BLOCK = 64 << 10


@dataclass(frozen=True)
class Scenario:
    """A throw-away kind: weights stand for what earlier jobs taught."""

    run: Run
    phases: tuple[PhaseSpec, ...]


def _phases(**weights: float) -> tuple[PhaseSpec, ...]:
    return tuple(PhaseSpec(name, name.capitalize(), weight) for name, weight in weights.items())


def compute(seconds: float, config: Config) -> None:
    """Matrix products, the bulk of training.

    By default as beside an accelerator that is the job's alone: a tenth of the time computes, the rest waits for it.
    `crowded` takes all of it from a processor that others want too, which makes it last longer.
    """
    left = np.random.default_rng(1).random((160, 160), dtype=np.float32)
    clock, own = (time.thread_time, seconds) if config.get("crowded") else (time.perf_counter, seconds / 10)
    began = clock()
    while clock() - began < own:
        left @ left
    time.sleep(max(0.0, seconds - (clock() - began)) if own < seconds else 0)


def _save(folder: Path, megabytes: int) -> None:
    (folder / "state.bin").write_bytes(np.random.default_rng(0).bytes(megabytes << 20))


def train(job: JobContext, config: Config) -> None:
    """Load, train with even steps, save; goes on from a checkpoint."""
    with job.phase("loading"):
        compute(config["load"], config)
    first = job.resume.step if job.resume else 0
    with job.phase("training"):
        steps = range(first, config["steps"])
        for step in job.track(steps, unit="step", start=first, total=config["steps"]):
            compute(config["step"], config)
            if job.should_stop():
                job.checkpoint(step + 1, lambda folder: _save(folder, 1))
                job.stop()
    with job.phase("saving"):
        for _ in job.track(range(4), unit="shard"):
            _save(job.folder, 4)


def cached(job: JobContext, config: Config) -> None:
    """Samples of a pool: the first touch of each computes its features, so steps get faster as the cache fills."""
    generator, features = random.Random(config["seed"]), dict[int, float]()
    with job.phase("training"):
        for _ in job.track(range(config["steps"]), unit="step"):
            for _ in range(8):
                item = generator.randrange(config["pool"])
                if item not in features:
                    features[item] = _spectrum(item)
                    compute(config["touch"], config)
            compute(config["step"], config)


def _spectrum(item: int) -> float:
    return float(np.abs(np.fft.rfft(np.random.default_rng(item).random(1 << 14))).sum())


def epochs(job: JobContext, config: Config) -> None:
    """The first epoch reads and parses source files, the later ones find them parsed."""
    files = _sources(config["files"], seed=config["seed"])
    parsed: dict[Path, int] = {}
    with job.phase("training"):
        for _ in job.track(range(config["epochs"]), unit="epoch"):
            for path in job.track(files, unit="file"):
                if path not in parsed:
                    parsed[path] = sum(1 for _ in ast.walk(ast.parse(path.read_bytes())))
                    compute(parsed[path] / config["nodes_a_second"], config)
                compute(config["step"], config)


def _sources(count: int, *, seed: int) -> list[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    found = [path for path in sorted(library.rglob("*.py")) if 500 < path.stat().st_size < 200_000]
    found = [path for path in found if not {"test", "tests", "site-packages", "lib2to3"} & set(path.parts)]
    random.Random(seed).shuffle(found)
    return (found * (1 + count // len(found)))[:count]


def evaluated(job: JobContext, config: Config) -> None:
    """Training that stops for an evaluation and a checkpoint every so many steps, inside one phase."""
    with job.phase("loading"):
        compute(1.0, config)
    with job.phase("training"):
        for step in job.track(range(1, config["steps"] + 1), unit="step"):
            compute(config["step"], config)
            if step % config["every"] == 0:
                compute(config["evaluation"], config)
                job.checkpoint(step, lambda folder: _save(folder, 16))


def turns(job: JobContext, config: Config) -> None:
    """Training and evaluation as two phases that take turns."""
    rounds = config["rounds"]
    for number in range(1, rounds + 1):
        with job.phase("training", round=number, rounds=rounds, unit="epoch"):
            for _ in job.track(range(config["steps"]), unit="step"):
                compute(config["step"], config)
        with job.phase("evaluating", round=number, rounds=rounds, unit="epoch"):
            for _ in job.track(range(config["batches"]), unit="batch"):
                compute(config["batch"], config)


def nested(job: JobContext, config: Config) -> None:
    """An evaluation phase inside the training phase, whose steps count through."""
    rounds = config["steps"] // config["every"]
    with job.phase("training"):
        for step in job.track(range(1, config["steps"] + 1), unit="step"):
            compute(config["step"], config)
            if step % config["every"] == 0:
                with job.phase("evaluating", round=step // config["every"], rounds=rounds):
                    for _ in job.track(range(config["batches"]), unit="batch"):
                        compute(config["batch"], config)


def search(job: JobContext, config: Config) -> None:
    """Random search: how long a trial takes depends on what it drew."""
    generator = random.Random(config["seed"])
    with job.phase("loading"):
        compute(1.0, config)
    with job.phase("searching"):
        for _ in job.track(range(config["trials"]), unit="trial"):
            for _ in job.track(range(int(generator.lognormvariate(2.6, 0.8)) + 1), unit="iteration"):
                compute(config["iteration"], config)
    with job.phase("saving"):
        _save(job.folder, 16)


def lengths(job: JobContext, config: Config) -> None:
    """Batches of sequences of all lengths: each takes as long as its longest one."""
    generator = random.Random(config["seed"])
    with job.phase("training"):
        for _ in job.track(range(config["batches"]), unit="batch"):
            longest = max(generator.paretovariate(2.5) / 6 for _ in range(4))
            compute(config["longest"] * min(1.0, longest), config)


def documents(job: JobContext, config: Config) -> None:
    """Compress documents of very different lengths, counted one by one."""
    with job.phase("listing"):
        files = _sources(config["files"], seed=config["seed"])
    with job.phase("packing"):
        for path in job.track(files, unit="document"):
            content = path.read_bytes()
            compute(len(bz2.compress(content, 9)) / config["bytes_a_second"], config)


def download(job: JobContext, config: Config) -> None:
    """Fetch files from a server that holds back, then read them again."""
    sizes: list[int] = config["sizes"]
    with _ThrottledServer(config["speeds"]) as url, httpx.Client(timeout=60) as client:
        with job.phase("resolving"):
            client.get(f"{url}/{BLOCK}")
        with (
            job.phase("downloading"),
            job.count(unit="byte", total=sum(sizes)) as counter,
        ):
            for size in sizes:
                with client.stream("GET", f"{url}/{size}") as response:
                    for chunk in response.iter_bytes(BLOCK):
                        counter.advance(len(chunk))
    with job.phase("verifying"), job.count(unit="byte", total=sum(sizes)) as counter:
        for size in sizes:
            bz2.compress(bytes(size // 40))
            counter.advance(size)


class _ThrottledServer:
    """Serves `/<bytes>` at speeds that change: `speeds` are (seconds, MB/s, jitter share), the last one lasts."""

    def __init__(self, speeds: list[tuple[float, float, float]]) -> None:
        self._speeds = speeds
        self._began = time.monotonic()
        self._jitter = random.Random(8)

    def __enter__(self) -> str:
        import asyncio

        from aiohttp import web

        self._loop = asyncio.new_event_loop()
        app = web.Application()
        app.add_routes([web.get("/{size}", self._serve)])
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        self._loop.run_until_complete(self._runner.setup())
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def __exit__(self, *_: object) -> None:
        import asyncio

        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _serve(self, request: Any) -> Any:
        import asyncio

        from aiohttp import web

        left = int(request.match_info["size"])
        response = web.StreamResponse(headers={"Content-Length": str(left)})
        await response.prepare(request)
        while left:
            block = min(BLOCK, left)
            await response.write(bytes(block))
            left -= block
            await asyncio.sleep(block / self._bytes_a_second())
        return response

    def _bytes_a_second(self) -> float:
        passed, until = time.monotonic() - self._began, 0.0
        for seconds, speed, jitter in self._speeds:
            until += seconds
            if passed < until or (seconds, speed, jitter) == self._speeds[-1]:
                return 1e6 * speed * self._jitter.uniform(1 - jitter, 1 + jitter)
        raise ValueError("speeds must name at least one speed")


SCENARIOS: dict[str, Scenario] = {
    "bench.train": Scenario(train, _phases(loading=6, training=90, saving=4)),
    "bench.cached": Scenario(cached, _phases(training=100)),
    "bench.epochs": Scenario(epochs, _phases(training=100)),
    "bench.evaluated": Scenario(evaluated, _phases(loading=3, training=97)),
    "bench.turns": Scenario(turns, _phases(training=75, evaluating=25)),
    "bench.nested": Scenario(nested, _phases(training=80, evaluating=20)),
    "bench.search": Scenario(search, _phases(loading=3, searching=95, saving=2)),
    "bench.lengths": Scenario(lengths, _phases(training=100)),
    "bench.documents": Scenario(documents, _phases(listing=1, packing=99)),
    "bench.download": Scenario(download, _phases(resolving=1, downloading=97, verifying=2)),
}
