"""The work of `probe.work`: burns CPU, rests, counts, logs a seeded walk whose state only a checkpoint can carry on."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from headway.jobs.context import JobContext
from headway.jobs.kinds.probe_work.config import ProbeConfig

WARMING_ROUNDS = 5


class Walk:
    """A random walk of `width` values: each step depends on all before it, so a resume that lost state shows."""

    def __init__(self, seed: int, width: int) -> None:
        self.values = [0.0] * width
        self._random = random.Random(seed)

    def step(self) -> dict[str, float]:
        """Walk on and answer the metrics of the step."""
        self.values = [0.9 * value + self._random.gauss(0, 1) for value in self.values]
        return {f"m{number}": value for number, value in enumerate(self.values)}

    def save(self, folder: Path) -> None:
        """Write the whole state."""
        version, internal, gauss_next = self._random.getstate()
        state = {"values": self.values, "random": [version, list(internal), gauss_next]}
        (folder / "walk.json").write_text(json.dumps(state))

    def load(self, folder: Path) -> None:
        """Take the state of a checkpoint."""
        state: dict[str, Any] = json.loads((folder / "walk.json").read_text())
        version, internal, gauss_next = state["random"]
        self.values = state["values"]
        self._random.setstate((version, tuple(internal), gauss_next))


def run(config: ProbeConfig, job: JobContext) -> None:
    """Warm up, then work step by step, from the newest checkpoint if there is one."""
    held = bytearray(os.urandom(1 << 20) * config.memory_mb)
    with job.phase("warming"):
        for _ in job.track(range(WARMING_ROUNDS), unit="round"):
            job.stop_if_asked()
            _burn(config.step_seconds / WARMING_ROUNDS)
    walk = Walk(config.seed, config.metrics)
    done = 0
    if job.resume:
        walk.load(job.resume.path)
        done = job.resume.step
        job.say(f"goes on after step {done}")
    with job.phase("working"):
        for step in job.track(range(done + 1, config.steps + 1), unit="step", total=config.steps, start=done):
            _work(config, job)
            time.sleep(config.rest_seconds)
            job.log(step, **_maybe_broken(config, job, step, walk.step()))
            if config.checkpoint_every and step % config.checkpoint_every == 0:
                job.checkpoint(step, walk.save)
            _stop_if_asked(job, step, walk)
    job.say(f"{config.steps} steps done, {len(held) >> 20} MB held")


def _stop_if_asked(job: JobContext, step: int, walk: Walk) -> None:
    reason = job.should_stop()
    if reason == "pause":
        job.checkpoint(step, walk.save)
    if reason:
        job.stop()


def _work(config: ProbeConfig, job: JobContext) -> None:
    for _ in job.track(range(config.inner), unit="iteration"):
        _burn(config.step_seconds / config.inner)


def _burn(seconds: float) -> float:
    """Use the CPU (not sleep) for about this long."""
    until, total = time.perf_counter() + seconds, 0.0
    while time.perf_counter() < until:
        total += sum(number * number for number in range(64))
    return total


def _maybe_broken(config: ProbeConfig, job: JobContext, step: int, metrics: dict[str, float]) -> dict[str, float]:
    """Fail as asked; answers the metrics to log."""
    fail = config.fail_at
    if fail is None or step != fail.step or job.attempt > fail.attempts:
        return metrics
    job.log(step, **metrics)
    match fail.how:
        case "exception":
            raise RuntimeError(f"failed at step {step}, as asked")
        case "exit":
            os.kill(os.getpid(), signal.SIGKILL)
        case "oom":
            raise MemoryError(f"out of memory at step {step}, as asked")
        case "hang":
            while True:
                time.sleep(3600)
        case "nan":
            return dict.fromkeys(metrics, float("nan"))
    return metrics
