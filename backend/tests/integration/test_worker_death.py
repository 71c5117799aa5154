"""A worker that died is known to be dead by its host at once; one that lives keeps its jobs, however silent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from headway.domain.endings import Patience
from headway.realtime.channels import Message
from headway.services.recover_jobs import give_back, recover_jobs
from headway.services.submit_job import JobRequest, submit_job
from headway.workers.lifeline import Lifeline
from tests.installation import Installation, open_installation, wait_until

HOLD = (
    "import sys; from pathlib import Path; from headway.workers.lifeline import Lifeline; "
    "line = Lifeline(Path(sys.argv[1]), 'here', 'other'); print('held', flush=True); sys.stdin.read()"
)
WORK = {"steps": 400, "step_seconds": 0.001, "rest_seconds": 0.01, "inner": 2, "checkpoint_every": 20, "metrics": 1}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=90)


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """One whose leases never run out within a test, and which has no reaper."""
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="600") as opened:
        yield opened


class NoMessages:
    """Signals of a Redis that loses everything."""

    def wake(self, queue: str, job_id: str) -> None:
        """Lost."""

    def publish(self, messages: Iterable[Message]) -> None:
        """Lost."""


def test_killed_worker_is_known_dead_and_a_stopped_one_is_not(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    mine = Lifeline(tmp_path, "here", "mine")
    elsewhere = Lifeline(tmp_path, "elsewhere", "mine")
    assert mine.dead() == []
    other.send_signal(signal.SIGSTOP)
    assert mine.dead() == []
    other.kill()
    other.wait(timeout=90)
    assert mine.dead() == ["other"]
    assert elsewhere.dead() == []
    mine.bury("other")
    assert mine.dead() == []
    mine.close()
    elsewhere.close()


def test_jobs_of_a_killed_worker_go_on_long_before_their_lease_runs_out(installation: Installation) -> None:
    worker = installation.start_worker("cpu")
    jobs = [installation.submit(config=WORK) for _ in range(2)]
    for job_id in jobs:
        installation.wait(job_id, lambda job: job.step and job.step > 25)
    installation.kill_worker(worker)
    installation.start_worker("cpu")
    for job_id in jobs:
        job = installation.wait(job_id, lambda job: job.attempt == 2 and job.step and job.step > 25)
        assert job.state in ("running", "completed")
        assert installation.wait_state(job_id, "completed", "failed").state == "completed"
    reasons = installation.query("SELECT error->>'message' FROM attempts WHERE outcome = 'lost'")
    assert reasons == [("its worker died",)] * 2


def test_queued_job_runs_without_any_message_and_without_a_reaper(installation: Installation) -> None:
    job_id = submit_job(installation.engine, NoMessages(), JobRequest(kind="probe.work", config=WORK)).id
    assert installation.wait_state(job_id, "completed", "failed").state == "completed"


def lifelines(installation: Installation) -> set[Path]:
    return {path for path in (installation.settings.headway_data_dir / "workers").rglob("*") if path.is_file()}


def test_a_worker_that_ended_in_order_leaves_nothing_to_bury(installation: Installation) -> None:
    before = lifelines(installation)
    worker = installation.start_worker("io")
    log = installation.worker_log(worker)
    wait_until(lambda: "ready" in log.read_text(), what="the worker")
    own = lifelines(installation) - before
    assert len(own) == 1
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    installation.workers.remove(worker)
    assert not own & lifelines(installation)


def test_giving_back_twice_and_beside_the_reaper_moves_a_job_once(installation: Installation) -> None:
    signals = NoMessages()
    job_id = submit_job(installation.engine, signals, JobRequest(kind="probe.work", config=WORK)).id
    installation.query(
        "UPDATE jobs SET state = 'running', attempt = 1, lease_owner = 'gone', lease_expires_at = now() "
        "- interval '1 hour' WHERE id = %s",
        job_id,
    )
    installation.query("INSERT INTO attempts (job_id, number, lease_owner, host) VALUES (%s, 1, 'gone', 'x')", job_id)
    patience = Patience(3)
    counts = [give_back(installation.engine, signals, patience, "gone") for _ in range(2)]
    recovered = recover_jobs(installation.engine, signals, patience, 0.0, list)
    assert (counts, recovered.lost) == ([1, 0], 0)
    assert installation.wait_state(job_id, "completed", "failed").state == "completed"
