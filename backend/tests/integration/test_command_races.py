"""Commands that come at the very moment something else happens to the job: one of them wins, nothing is in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.failures import Failure, FailureClass
from headway.errors import ConflictError
from headway.realtime.channels import Message
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.control_job import cancel_job, pause_job
from headway.services.feed import Feed
from headway.services.finish_attempt import finish_attempt
from headway.services.recover_jobs import recover_jobs
from headway.services.retry_job import RetryRequest, retry_job
from headway.services.submit_job import JobRequest, submit_job
from tests.installation import Installation, open_installation

ME = Claimant("me", "here", 30.0)
ROUNDS = 15


class Silence:
    """Signals that reach nobody: no worker runs here but the test."""

    def wake(self, queue: str, job_id: str) -> None:
        """Not sent."""

    def publish(self, messages: Iterable[Message]) -> None:
        """Not sent."""


SILENCE = Silence()


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


def submitted(installation: Installation) -> str:
    return submit_job(installation.engine, SILENCE, JobRequest(kind="probe.work")).id


def claim(installation: Installation, job_id: str) -> Feed | None:
    row = claim_job(installation.engine, SILENCE, ME, "cpu", job_id)
    return new_feed(row, ME) if row else None


def claimed(installation: Installation) -> Feed:
    feed = claim(installation, submitted(installation))
    assert feed is not None
    return feed


def finish(installation: Installation, feed: Feed, outcome: Outcome, failure: Failure | None = None) -> str | None:
    row = finish_attempt(installation.engine, SILENCE, feed, Ending(outcome, failure), Patience(3))
    return None if row is None else str(row["state"])


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call answered; a refusal is an answer too."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        together.wait(timeout=90)
        try:
            return call()
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def events(installation: Installation, job_id: str, kind: str) -> int:
    statement = "SELECT count(*) FROM job_events WHERE job_id = %s AND type = %s"
    return int(installation.query(statement, job_id, kind)[0][0])


def test_cancel_while_it_is_claimed_ends_it_or_is_told_to_the_worker(installation: Installation) -> None:
    for _ in range(ROUNDS):
        job_id = submitted(installation)
        cancelled, feed = at_once(
            lambda job_id=job_id: cancel_job(installation.engine, SILENCE, job_id),
            lambda job_id=job_id: claim(installation, job_id),
        )
        assert cancelled.state == ("cancelling" if feed else "cancelled")
        if feed:
            assert finish(installation, feed, Outcome.CANCELLED) == "cancelled"
        assert installation.job(job_id).state == "cancelled"


def test_pause_while_it_finishes_never_takes_the_completion_back(installation: Installation) -> None:
    for _ in range(ROUNDS):
        feed = claimed(installation)
        paused, ended = at_once(
            lambda feed=feed: pause_job(installation.engine, SILENCE, feed.job_id),
            lambda feed=feed: finish(installation, feed, Outcome.COMPLETED),
        )
        assert ended == "completed"
        assert isinstance(paused, ConflictError) or paused.state == "pausing"
        job = installation.job(feed.job_id)
        assert (job.state, job.percent) == ("completed", 100)


def test_two_cancels_at_once_are_one(installation: Installation) -> None:
    for _ in range(ROUNDS):
        feed = claimed(installation)
        cancel = lambda feed=feed: cancel_job(installation.engine, SILENCE, feed.job_id)  # noqa: E731  # twice the same
        assert [answer.state for answer in at_once(cancel, cancel)] == ["cancelling"] * 2
        assert events(installation, feed.job_id, "job.cancelling") == 1
        assert finish(installation, feed, Outcome.CANCELLED) == "cancelled"


def test_retry_while_it_is_cancelled_is_refused_or_makes_one_job(installation: Installation) -> None:
    for _ in range(ROUNDS):
        feed = claimed(installation)
        cancel_job(installation.engine, SILENCE, feed.job_id)
        again, ended = at_once(
            lambda feed=feed: retry_job(installation.engine, SILENCE, feed.job_id, RetryRequest()),
            lambda feed=feed: finish(installation, feed, Outcome.CANCELLED),
        )
        assert ended == "cancelled"
        made = installation.query("SELECT count(*) FROM jobs WHERE retry_of = %s", feed.job_id)[0][0]
        assert made == (0 if isinstance(again, ConflictError) else 1)


def test_full_disk_pauses_the_job_with_its_reason_and_it_goes_on_when_there_is_room(installation: Installation) -> None:
    feed = claimed(installation)
    full = Failure(FailureClass.DISK_FULL, "No space left on device")
    assert finish(installation, feed, Outcome.FAILED, full) == "paused"
    error = installation.job(feed.job_id).error
    assert error is not None
    assert error.failure_class == "DISK_FULL"
    installation.query("UPDATE jobs SET updated_at = now() - interval '2 minutes' WHERE id = %s", feed.job_id)
    for roomy_host, state in ((None, "paused"), ("elsewhere", "paused"), ("here", "queued")):
        recover_jobs(installation.engine, SILENCE, Patience(3), 15.0, list, roomy_host)
        assert installation.job(feed.job_id).state == state
    assert installation.job(feed.job_id).error is None
