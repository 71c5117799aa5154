"""The drain: exactly once, fenced by the attempt, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.series import BEGAN_ANEW
from headway.errors import FencedError
from headway.realtime.channels import Message
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.control_job import cancel_job
from headway.services.drain import Drain
from headway.services.feed import Drained, Feed
from headway.services.finish_attempt import finish_attempt
from headway.services.ingest import ingest
from headway.services.read_metrics import MetricsQuery, read_metrics
from headway.services.recover_jobs import recover_jobs
from headway.services.submit_job import JobRequest, submit_job
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from headway.storage import attempts as attempt_store
from headway.storage.engine import transaction
from headway.workers.output import read_output
from tests.installation import Installation, open_installation, wait_until

ME = Claimant("me", "here", 30.0)
PLAN = {"phases": [{"name": "working", "title": "Working", "weight": 1, "optional": False}]}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


def claimed(installation: Installation, claimant: Claimant = ME) -> Feed:
    """A job of its own, claimed: nobody runs it but the test."""
    job_id = installation.submit()
    row = claim_job(installation.engine, installation.runtime.signals, claimant, "cpu", job_id)
    assert row is not None
    return new_feed(row, claimant)


def steps_of(installation: Installation, feed: Feed) -> list[tuple[int, int]]:
    """(attempt, step) of everything stored of the job."""
    statement = "SELECT attempt, step FROM training_metrics WHERE job = %s ORDER BY attempt, step"
    return [(int(a), int(s)) for a, s in installation.query(statement, feed.job_key)]


def written(folder: Path, steps: range) -> SpoolWriter:
    """A spool with a plan, a phase and one metric a step."""
    writer = SpoolWriter(folder / "spool")
    writer.event(EventKind.PLAN, PLAN)
    writer.event(EventKind.PHASE_STARTED, {"name": "working"})
    for step in steps:
        writer.log(step, loss=1.0 / step)
    return writer


def test_records_whose_commit_was_not_heard_of_are_not_stored_twice(installation: Installation, tmp_path: Path) -> None:
    feed = claimed(installation)
    written(tmp_path, range(1, 11))
    drained = Drained(SpoolReader(tmp_path / "spool").read(), [], 0)
    unaware = replace(feed)
    assert ingest(installation.engine, feed, drained).row is not None
    again = ingest(installation.engine, unaware, drained)
    assert again.row is not None
    assert unaware.spool_offset == feed.spool_offset
    assert steps_of(installation, feed) == [(1, step) for step in range(1, 11)]


def test_superseded_attempt_keeps_its_metrics_and_changes_nothing_else(
    installation: Installation, tmp_path: Path
) -> None:
    feed = claimed(installation)
    writer = written(tmp_path, range(1, 6))
    Drain(installation.engine, installation.runtime.signals, feed, tmp_path, read_output).step()
    installation.query("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = %s", feed.job_id)
    wait_until(lambda: reaped(installation) >= 1, what="the reaper")
    rival = claim_job(installation.engine, installation.runtime.signals, replace(ME, owner="rival"), "cpu", feed.job_id)
    assert rival is not None
    before = installation.job(feed.job_id)
    writer.event(EventKind.COUNTERS, {"phase": "working", "counters": [{"unit": "step", "current": 9, "total": 10}]})
    writer.log(6, loss=0.5)
    late = Drain(installation.engine, installation.runtime.signals, feed, tmp_path, read_output)
    with pytest.raises(FencedError):
        late.step()
    after = installation.job(feed.job_id)
    assert (after.revision, after.percent, after.attempt) == (before.revision, before.percent, 2)
    assert steps_of(installation, feed) == [(1, step) for step in range(1, 7)]
    assert finish(installation, feed, Outcome.COMPLETED) is None
    assert installation.job(feed.job_id).state == "running"


def test_living_lease_is_never_reaped(installation: Installation) -> None:
    feed = claimed(installation)
    reaped(installation)
    assert installation.job(feed.job_id).state == "running"


def test_cancel_that_comes_first_wins_over_the_failure_on_the_way_down(installation: Installation) -> None:
    feed = claimed(installation)
    installation.query("UPDATE jobs SET state = 'cancelling' WHERE id = %s", feed.job_id)
    finish(installation, feed, Outcome.FAILED)
    assert installation.job(feed.job_id).state == "cancelled"


def test_job_is_claimed_once_however_many_try(installation: Installation) -> None:
    job_id = installation.submit()
    claims = [
        claim_job(installation.engine, installation.runtime.signals, replace(ME, owner=f"w{n}"), "cpu", job_id)
        for n in range(5)
    ]
    assert sum(row is not None for row in claims) == 1


def test_completed_without_a_declared_output_is_a_failure(installation: Installation, tmp_path: Path) -> None:
    feed = claimed(installation)
    installation.query(
        "INSERT INTO artifacts (id, type, name, job_id, output) VALUES ('aaaaaaaaaaaa', 'model', 'm', %s, 'model')",
        feed.job_id,
    )
    row = finish(installation, feed, Outcome.COMPLETED)
    assert row is not None
    assert row["state"] == "failed"
    assert "model" in row["error"]["message"]


def test_text_that_postgres_cannot_hold_does_not_stop_a_drain(installation: Installation, tmp_path: Path) -> None:
    feed = claimed(installation)
    writer = written(tmp_path, range(1, 2))
    writer.event(EventKind.SAID, {"message": "a\0b\ud800c"})
    writer.event(EventKind.LOG, {"level": "info", "text": "x\0y"})
    (tmp_path / "output.log").write_bytes(b"raw \x00\xff bytes\n")
    Drain(installation.engine, installation.runtime.signals, feed, tmp_path, read_output).step()
    assert installation.job(feed.job_id).message == "ab?c"


def test_attempt_that_died_before_its_process_began_takes_no_step_from_the_curve(
    installation: Installation, tmp_path: Path
) -> None:
    feed = claimed(installation)
    resumed = {1: BEGAN_ANEW, 2: None, 3: 4}
    for attempt, steps in ((1, range(1, 7)), (2, range(0)), (3, range(5, 9))):
        folder = tmp_path / str(attempt)
        if (step := resumed[attempt]) is not None:
            with transaction(installation.engine) as connection:
                attempt_store.begin(connection, feed.job_id, attempt, step)
        written(folder, steps)
        Drain(installation.engine, installation.runtime.signals, feed, folder, read_output).step()
        finish(installation, feed, Outcome.LOST)
        row = claim_job(installation.engine, installation.runtime.signals, ME, "cpu", feed.job_id)
        assert row is not None
        feed = new_feed(row, ME)
    series = read_metrics(installation.engine, feed.job_id, MetricsQuery(names="loss")).series[0]
    assert series.steps == list(range(1, 9))


def test_queue_is_first_come_first_served_and_a_lost_job_keeps_its_place(installation: Installation) -> None:
    installation.query("UPDATE jobs SET state = 'cancelled' WHERE state = 'queued'")
    jobs = [installation.submit() for _ in range(3)]
    started: list[str] = []
    for outcome in (Outcome.LOST, Outcome.COMPLETED, Outcome.COMPLETED, Outcome.COMPLETED):
        row = claim_job(installation.engine, installation.runtime.signals, ME, "cpu", None)
        assert row is not None
        started.append(row["id"])
        finish(installation, new_feed(row, ME), outcome)
    assert started == [jobs[0], *jobs]


class CommittedOnly:
    """Signals that look, at each push, whether another connection sees already what is told."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.told = 0

    def wake(self, queue: str, job_id: str) -> None:
        """A worker may claim the job at once: it must be there."""
        assert self._installation.job(job_id).state == "queued"

    def publish(self, messages: Iterable[Message]) -> None:
        """Compare with what is committed."""
        for message in messages:
            committed = self._installation.job(str(message.payload["job_id"])).revision
            assert committed >= message.payload["revision"], f"{message.event} told before its commit"
            self.told += 1


def test_nothing_is_pushed_before_it_is_committed(installation: Installation, tmp_path: Path) -> None:
    engine, signals = installation.engine, CommittedOnly(installation)
    job_id = submit_job(engine, signals, JobRequest(kind="probe.work")).id
    row = claim_job(engine, signals, ME, "cpu", job_id)
    assert row is not None
    feed = new_feed(row, ME)
    writer = written(tmp_path, range(1, 4))
    writer.event(EventKind.LOG, {"level": "info", "text": "x"})
    Drain(engine, signals, feed, tmp_path, read_output).step()
    cancel_job(engine, signals, job_id)
    finish_attempt(engine, signals, feed, Ending(Outcome.CANCELLED), Patience(3))
    assert signals.told > 8
    assert installation.job(job_id).state == "cancelled"


def reaped(installation: Installation) -> int:
    """Run the reaper once, with no queue to fill."""
    runtime = installation.runtime
    return recover_jobs(runtime.engine, runtime.signals, Patience(3), 0.0, list).lost


def finish(installation: Installation, feed: Feed, outcome: Outcome) -> dict[str, object] | None:
    """End the attempt with an outcome."""
    runtime = installation.runtime
    return finish_attempt(runtime.engine, runtime.signals, feed, Ending(outcome), Patience(3))
