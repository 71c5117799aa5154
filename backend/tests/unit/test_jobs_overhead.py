"""What telling costs a job is counted exactly, measured where it happens, and told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from headway.jobs.overhead import PROBES, Costs, Overhead, Told, scratch_writer
from headway.jobs.reporter import Reporter
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from tests.adapter_runs import make_job


@pytest.fixture
def overhead() -> Overhead:
    writer = scratch_writer()
    assert writer
    return Overhead(Reporter(writer, samples=False), now=0.0)


def test_calls_of_log_are_counted_beside_events_layouts_and_segments(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "spool", segment_bytes=4096, quota_bytes=1 << 20)
    for step in range(500):
        writer.log(step, loss=1.0)
        if step % 7 == 0:
            writer.log(step, other=1.0, names=2.0)
            writer.event(EventKind.SAID, {"message": "x"})
            writer.housekeep()
    assert writer.calls == 500 + 72
    writer.close()


def test_costs_are_plausible_and_each_probe_is_quick(overhead: Overhead) -> None:
    started = time.process_time()
    for _ in range(PROBES + 10):
        overhead.probe()
    assert time.process_time() - started < 0.5
    costs = overhead.costs
    assert 0.1 < costs.warm_call < 1000
    assert 0.1 < costs.call < 1000
    assert 0.1 < costs.loop < 1000
    assert 0 <= costs.item < 50


def test_report_is_the_share_of_the_time_since_the_last(overhead: Overhead, monkeypatch: pytest.MonkeyPatch) -> None:
    assert overhead.report(Told(10, 0, 0), 60.0) is None, "nothing is measured yet"
    overhead.probe()
    monkeypatch.setattr(Overhead, "costs", Costs(call=2.0, warm_call=1.0, loop=5.0, item=0.1))
    assert overhead.report(Told(10, 0, 0), 4.9) is None
    first = overhead.report(Told(1000, 100, 30_000), 10.0)
    assert first == {"us_per_call": 2.0, "percent_of_step": 0.055, "calls": 1000, "us_per_item": 0.1, "items": 30_000}
    assert overhead.report(Told(1000, 100, 30_000), 12.0) is None
    idle = overhead.report(Told(1000, 100, 30_000), 20.0)
    assert idle
    assert idle["percent_of_step"] == 0
    assert overhead.report(Told(1000, 100, 30_000), 30.0) is None, "it says nothing new"
    last = overhead.report(Told(1500, 100, 30_000), 31.0, last=True)
    assert last
    assert (last["calls"], last["percent_of_step"]) == (1500, 0.0091), "of 11 s: since two reports ago"
    often = overhead.report(Told(121_500, 100, 30_000), 41.0)
    assert often
    assert (often["us_per_call"], often["percent_of_step"]) == (1.0, 1.2), "calls in a tight loop cost less"


def test_job_tells_its_overhead_and_warns_once_over_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.jobs.overhead.REPORT_SECONDS", 0.2)
    job = make_job(tmp_path / "job", "working")
    until = time.monotonic() + 1.0

    def work(context: object) -> None:
        with job.context.phase("working"):
            for step in job.context.track(iter(int, 1), unit="step"):
                job.context.log(step, loss=1.0)
                if time.monotonic() > until:
                    break

    ran = job.run(work)
    told = ran.of(EventKind.OVERHEAD)
    assert len(told) >= 2
    assert told[-1]["calls"] == told[-1]["items"] + 1 > 1000
    assert 1 < told[-1]["percent_of_step"] <= 100
    warnings = [line["text"] for line in ran.of(EventKind.LOG)]
    assert len([text for text in warnings if "log every few steps" in text]) == 1


def test_job_that_tells_nothing_reports_nothing_and_leaves_no_thread(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", "working")
    ran = job.run(lambda _: None)
    assert ran.of(EventKind.OVERHEAD) == []
    assert "headway-reporter" not in {thread.name for thread in threading.enumerate()}


def test_a_last_report_right_after_another_is_not_of_the_moment_in_between(
    overhead: Overhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    overhead.probe()
    monkeypatch.setattr(Overhead, "costs", Costs(call=2.0, warm_call=1.0, loop=5.0, item=0.1))
    assert overhead.report(Told(1000, 0, 0), 10.0)
    last = overhead.report(Told(1001, 0, 0), 10.5, last=True)
    assert last
    assert (last["calls"], last["percent_of_step"]) == (1001, 0.019)
