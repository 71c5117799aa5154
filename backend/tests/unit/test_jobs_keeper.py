"""Checkpoints come as often as asked for, at a pause at once, and never cost more than their share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.errors import JobStopped
from headway.jobs import keeper as keeping
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.order import JobOrder
from headway.jobs.reporter import Reporter
from headway.spool.control import Control
from headway.spool.writer import SpoolWriter


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(keeping, "time", clock)
    return clock


@pytest.fixture
def job(tmp_path: Path) -> Iterator[JobContext]:
    reporter = Reporter(SpoolWriter(tmp_path / "spool", quota_bytes=64 << 20))
    order = JobOrder(job_id="t" * 12, attempt=1, kind="k", config={}, phases=[])
    yield JobContext(tmp_path, order, reporter, Control.create(tmp_path / "control"))
    reporter.close()


def left_at(job: JobContext, clock: Clock, every: float, seconds: int, cost: float = 0.0) -> list[int]:
    """The steps, one a second, that left a checkpoint; saving takes `cost` seconds."""
    keeper, left = Keeper(job, every), []

    def save(_folder: Path) -> None:
        clock.now += cost
        left.append(step)

    for step in range(1, seconds + 1):
        clock.now += 1
        keeper.heed(step, save)
    return left


def test_checkpoints_come_at_the_interval(job: JobContext, clock: Clock) -> None:
    assert left_at(job, clock, every=15, seconds=50) == [15, 30, 45]
    assert left_at(job, clock, every=0, seconds=3) == [1, 2, 3]


def test_dear_checkpoints_come_so_seldom_that_they_cost_one_percent(job: JobContext, clock: Clock) -> None:
    assert left_at(job, clock, every=10, seconds=700, cost=3) == [10, 310, 610]


def test_given_steps_decide_whatever_a_checkpoint_costs_and_the_last_step_always_leaves_one(
    job: JobContext, clock: Clock
) -> None:
    keeper, left = Keeper(job, every_steps=4), []

    def save(_folder: Path) -> None:
        clock.now += 100
        left.append(step)

    for step in range(1, 11):
        keeper.heed(step, save, last=step == 10)
    assert left == [4, 8, 10]


def test_pause_leaves_a_checkpoint_at_once_and_cancel_none(tmp_path: Path, job: JobContext, clock: Clock) -> None:
    control = Control.open(tmp_path / "control")
    control.pause()
    with pytest.raises(JobStopped, match="pause"):
        left_at(job, clock, every=100, seconds=5)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000000001"]
    control.cancel()
    with pytest.raises(JobStopped, match="cancel"):
        left_at(job, clock, every=100, seconds=5)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
