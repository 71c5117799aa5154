"""Aggregates from running sums are those of the effective curve: by phase, over attempts, each record once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.series import BEGAN_ANEW
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.feed import Drained, Feed
from headway.services.finish_attempt import finish_attempt
from headway.services.ingest import ingest
from headway.services.read_metrics import MetricsQuery, read_metrics
from headway.services.read_run_progress import MetricAggregate, RunProgressQuery, read_run_progress
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from headway.storage import attempts as attempt_store
from headway.storage.engine import transaction
from tests.installation import Installation, open_installation

ME = Claimant("me", "here", 600.0)
PLAN = [{"name": name, "title": name, "weight": 1.0, "optional": False} for name in ("training", "evaluating")]


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


class Run:
    """A job whose attempts are played by hand."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.folder = installation, folder
        self.job_id = installation.submit()
        self.feed = self.claim(BEGAN_ANEW)

    def claim(self, resumed_from: int) -> Feed:
        runtime = self.installation.runtime
        row = claim_job(runtime.engine, runtime.signals, ME, "cpu", self.job_id)
        assert row is not None
        self.feed = new_feed(row, ME)
        with transaction(runtime.engine) as connection:
            attempt_store.begin(connection, self.job_id, self.feed.attempt, resumed_from)
        self.writer = SpoolWriter(self.folder / str(self.feed.attempt))
        self.reader = SpoolReader(self.folder / str(self.feed.attempt))
        self.writer.event(EventKind.PLAN, {"phases": PLAN})
        self.enter("training")
        return self.feed

    def lose(self) -> None:
        ending, runtime = Ending(Outcome.LOST, progressed=True), self.installation.runtime
        finish_attempt(runtime.engine, runtime.signals, self.feed, ending, Patience(lost=3))

    def enter(self, phase: str) -> None:
        self.writer.event(EventKind.PHASE_STARTED, {"name": phase})

    def leave(self, phase: str) -> None:
        self.writer.event(EventKind.PHASE_FINISHED, {"name": phase, "again": True})

    def log(self, steps: range, offset: float = 0.0) -> None:
        for step in steps:
            self.writer.log(step, loss=offset + math.sin(step))

    def drain(self, feed: Feed | None = None) -> Drained:
        drained = Drained(self.reader.read(), [], 0)
        ingest(self.installation.engine, feed or self.feed, drained)
        return drained

    def aggregates(self, **query: object) -> dict[str, MetricAggregate]:
        asked = RunProgressQuery.model_validate({"aggregate": True, **query})
        return read_run_progress(self.installation.engine, self.job_id, asked).aggregates or {}

    def curve(self) -> list[float]:
        series = read_metrics(self.installation.engine, self.job_id, MetricsQuery(names="loss")).series
        return [value for value in series[0].values if value is not None]


@pytest.fixture
def run(installation: Installation, tmp_path: Path) -> Run:
    return Run(installation, tmp_path)


def summed(values: list[float]) -> MetricAggregate:
    mean = pytest.approx(sum(values) / len(values))
    return MetricAggregate.model_construct(current=values[-1], mean=mean, min=min(values), max=max(values))


def test_values_belong_to_the_phase_that_ran_at_their_time(run: Run) -> None:
    run.log(range(1, 5))
    run.enter("evaluating")
    run.log(range(100, 103), offset=10.0)
    run.drain()
    run.log(range(103, 105), offset=10.0)
    run.leave("evaluating")
    run.log(range(5, 7))
    run.drain()
    assert run.aggregates(phase="evaluating") == {"loss": summed([10 + math.sin(step) for step in range(100, 105)])}
    assert run.aggregates(phase="training") == {"loss": summed([math.sin(step) for step in range(1, 7)])}
    assert run.aggregates(phase="saving") == {}
    assert run.aggregates()["loss"].current == 10 + math.sin(104)


def test_a_drain_whose_commit_was_not_heard_of_counts_once(run: Run) -> None:
    run.log(range(1, 8))
    unaware = replace(run.feed)
    drained = run.drain()
    ingest(run.installation.engine, unaware, drained)
    assert run.aggregates() == {"loss": summed(run.curve())}


def test_what_a_later_attempt_did_again_is_taken_out_by_phase(run: Run) -> None:
    run.log(range(1, 10), offset=1000.0)
    run.enter("evaluating")
    run.log(range(5, 12), offset=-1000.0)
    run.drain()
    run.lose()
    run.claim(6)
    assert run.aggregates(phase="training") == {"loss": summed([1000 + math.sin(step) for step in range(1, 7)])}
    assert run.aggregates(phase="evaluating") == {"loss": summed([-1000 + math.sin(step) for step in range(5, 7)])}
    run.log(range(7, 9))
    run.drain()
    redone = [math.sin(step) for step in range(7, 9)]
    expected = [1000 + math.sin(step) for step in range(1, 7)] + redone
    assert run.aggregates(phase="training") == {"loss": summed(expected)}


@pytest.mark.parametrize(("resumed_from", "late"), [(4, range(9, 12)), (10, range(9, 12)), (BEGAN_ANEW, range(9, 12))])
def test_aggregates_are_those_of_the_effective_curve_whatever_came_late(
    run: Run, resumed_from: int, late: range
) -> None:
    first, reader, writer = run.feed, run.reader, run.writer
    run.log(range(1, 9), offset=5.0)
    run.drain()
    run.lose()
    run.claim(resumed_from)
    run.log(range(resumed_from + 1, resumed_from + 4))
    run.drain()
    assert run.aggregates() == {"loss": summed(run.curve())}
    for step in late:
        writer.log(step, loss=-50.0)
    ingest(run.installation.engine, first, Drained(reader.read(), [], 0))
    assert run.aggregates() == {"loss": summed(run.curve())}
    assert run.aggregates() == run.aggregates(since=0)


def test_values_that_are_not_finite_stay_out_of_what_is_summed_again(run: Run) -> None:
    run.log(range(1, 4))
    run.writer.log(4, loss=math.nan)
    run.log(range(5, 9))
    run.drain()
    run.lose()
    run.claim(5)
    assert run.aggregates() == {"loss": summed([math.sin(step) for step in (1, 2, 3, 5)])}


def test_what_a_dead_worker_had_not_drained_joins_the_phase_it_was_in(run: Run) -> None:
    run.log(range(1, 4))
    run.drain()
    run.log(range(4, 6))
    left = replace(new_feed({"id": run.job_id, "key": run.feed.job_key, "attempt": 1, "kind": "probe.work"}, ME))
    left.spool_offset = run.feed.spool_offset
    run.drain(left)
    assert run.aggregates(phase="training") == {"loss": summed(run.curve())}


def test_values_that_are_not_finite_or_enormous_stop_no_drain(run: Run) -> None:
    for step, value in enumerate((math.nan, 1.7e308, 1.7e308, -math.inf, 2.0), 1):
        run.writer.log(step, loss=value)
    run.drain()
    run.log(range(6, 7))
    run.drain()
    told = run.aggregates()["loss"]
    assert (told.min, told.max, told.current) == (math.sin(6), 1.7e308, math.sin(6))
    run.writer.log(7, loss=math.nan)
    run.drain()
    assert run.aggregates()["loss"].current is None


def test_a_metric_that_is_never_finite_stops_no_drain_of_those_beside_it(run: Run) -> None:
    for step in range(1, 3):
        run.writer.log(step, score=math.nan, loss=0.5)
    run.drain()
    told = run.aggregates()
    assert (told["score"].current, told["score"].mean, told["loss"].mean) == (None, None, 0.5)
