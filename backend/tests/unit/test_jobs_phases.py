"""Phases as a kind uses them: rounds, nesting and sizes told ahead, read back from the spool and folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from headway.domain.plan import PhaseSpec
from headway.domain.progress import PhaseState, Snapshot, apply
from headway.jobs.checkpoints import newest_valid
from headway.jobs.context import JobContext
from headway.jobs.order import JobOrder
from headway.jobs.process import plan_of
from headway.jobs.reporter import Reporter
from headway.services.feed import domain_event
from headway.spool.control import Control
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter

PHASES = [PhaseSpec("training", "Training", 3), PhaseSpec("evaluating", "Evaluating", 1)]


@pytest.fixture
def snapshots(tmp_path: Path) -> Callable[..., list[Snapshot]]:
    """Runs a piece of a kind and answers the progress after each of its events."""

    attempts = count(1)

    def run(work: Callable[[JobContext], None], resume_from: Sequence[str] = ()) -> list[Snapshot]:
        attempt = next(attempts)
        folder = tmp_path / str(attempt)
        reporter = Reporter(SpoolWriter(folder / "spool", quota_bytes=16 << 20))
        order = JobOrder(
            job_id="j" * 12, attempt=attempt, kind="t.k", config={}, phases=PHASES, resume_from=list(resume_from)
        )
        resume = newest_valid(map(Path, resume_from))
        reporter.event(EventKind.PLAN, plan_of(order, resume))
        try:
            work(JobContext(folder, order, reporter, Control.create(folder / "control"), resume))
        finally:
            reporter.close()
        found = [Snapshot()]
        for event in SpoolReader(folder / "spool").read().events:
            change = domain_event(event.kind, event.at, event.data)
            if change:
                found.append(apply(found[-1], change))
        return found

    return run


def states(snapshot: Snapshot) -> list[tuple[PhaseState, float]]:
    return [(phase.state, phase.fraction) for phase in snapshot.phases]


def test_rounds_keep_each_phase_its_own_progress_and_complete_it_only_at_the_last(snapshots):
    def work(job: JobContext) -> None:
        for epoch in (1, 2):
            with job.phase("training", round=epoch, rounds=2, unit="epoch"):
                list(job.track(range(5), unit="step"))
            with job.phase("evaluating", round=epoch, rounds=2, unit="epoch"):
                list(job.track(range(3), unit="batch"))

    found = snapshots(work)
    assert states(found[-1]) == [(PhaseState.COMPLETED, 1), (PhaseState.COMPLETED, 1)]
    between = [states(snapshot) for snapshot in found]
    assert [(PhaseState.PENDING, 0.5), (PhaseState.PENDING, 0.5)] in between
    percents = [snapshot.percent_bp for snapshot in found]
    assert percents == sorted(percents)
    assert {3750, 5000, 8750, 9999} <= set(percents)
    assert found[-1].phases[0].counters[0].unit == "epoch"


def test_a_phase_inside_another_gives_back_to_it(snapshots):
    def work(job: JobContext) -> None:
        with job.phase("training"):
            for step in job.track(range(4), unit="step"):
                if step == 1:
                    with job.phase("evaluating", round=1, rounds=1):
                        list(job.track(range(3), unit="batch"))

    found = snapshots(work)
    assert ("evaluating", ("training",)) in [(snapshot.phase, snapshot.outer) for snapshot in found]
    assert (found[-1].phase, found[-1].outer) == ("training", ())
    assert states(found[-1]) == [(PhaseState.COMPLETED, 1), (PhaseState.COMPLETED, 1)]


def test_rounds_without_a_number_of_them_are_shown_and_move_no_percent(snapshots):
    def work(job: JobContext) -> None:
        with job.phase("evaluating", round=1):
            list(job.track(range(3), unit="batch"))

    last = snapshots(work)[-1]
    assert (last.percent_bp, last.phases[1].state) == (0, PhaseState.PENDING)
    assert [(counter.unit, counter.current, counter.total) for counter in last.phases[1].counters] == [
        ("round", 1, None)
    ]


def test_the_size_of_a_phase_to_come_is_told_ahead(snapshots):
    last = snapshots(lambda job: job.expect("evaluating", unit="batch", total=40))[-1]
    assert [(counter.unit, counter.total) for counter in last.phases[1].counters] == [("batch", 40)]
    assert last.phases[1].state is PhaseState.PENDING


@pytest.mark.parametrize(("number", "rounds"), [(0, 3), (4, 3), (0, None)])
def test_a_round_that_is_none_of_them_is_refused(snapshots, number, rounds):
    def work(job: JobContext) -> None:
        with job.phase("training", round=number, rounds=rounds):
            pass

    with pytest.raises(ValueError, match=f"round {number} of phase 'training'"):
        snapshots(work)


def test_a_resumed_attempt_shows_how_far_it_is_before_it_loads_anything_and_never_falls(tmp_path, snapshots):
    def first(job: JobContext) -> None:
        with job.phase("training", round=1, rounds=2, unit="epoch"):
            for step in job.track(range(10), unit="step"):
                if step == 5:
                    job.checkpoint(6, lambda folder: (folder / "state").write_text("x") and None)

    def second(job: JobContext) -> None:
        job.say("loading")
        with job.phase("training", round=1, rounds=2, unit="epoch"):
            list(job.track(range(6, 10), unit="step", start=6))

    snapshots(first)
    found = snapshots(second, resume_from=[str(tmp_path / "1" / "checkpoints" / "step-000000000006")])
    assert found[1].percent_bp == 1875  # with its plan
    loading = next(snapshot for snapshot in found if snapshot.message == "loading")
    assert states(loading) == [(PhaseState.PENDING, 0.25), (PhaseState.PENDING, 0)]  # 5 of 10 were counted, of 2 rounds
    percents = [snapshot.percent_bp for snapshot in found]
    assert percents == sorted(percents)
    assert percents[-1] == 3750


def test_phases_that_were_finished_run_again_from_nothing(tmp_path, snapshots):
    def first(job: JobContext) -> None:
        with job.phase("training"):
            list(job.track(range(4), unit="step"))
        with job.phase("evaluating"):
            for batch in job.track(range(4), unit="batch"):
                if batch == 2:
                    job.checkpoint(3, lambda folder: (folder / "state").write_text("x") and None)

    snapshots(first)
    found = snapshots(lambda job: None, resume_from=[str(tmp_path / "1" / "checkpoints" / "step-000000000003")])
    assert states(found[-1]) == [(PhaseState.PENDING, 0), (PhaseState.PENDING, 0.5)]
