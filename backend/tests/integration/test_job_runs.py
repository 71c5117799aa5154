"""Jobs through a real worker: they complete, fail with a reason, stop when asked, and go on after SIGKILL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from headway.errors import ConflictError
from headway.realtime.channels import Message
from headway.services.control_job import cancel_job, pause_job, resume_job
from headway.services.read_journal import read_events, read_history, read_logs
from headway.services.read_metrics import MetricsQuery, read_metrics
from headway.services.retry_job import RetryRequest, retry_job
from headway.services.submit_job import JobRequest, submit_job
from tests.installation import Installation, open_installation, wait_until

QUICK = {"steps": 40, "step_seconds": 0.002, "inner": 4, "checkpoint_every": 10}
LONG = {"steps": 100_000, "step_seconds": 0.001, "rest_seconds": 0.01, "inner": 4, "checkpoint_every": 20}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_SLOTS="gpu=1,cpu=3,io=2,system=2") as opened:
        opened.start_worker()
        opened.start_worker("system", beat=True)
        yield opened


def curve(installation: Installation, job_id: str, name: str = "m0") -> dict[int, float | None]:
    view = read_metrics(installation.engine, job_id, MetricsQuery(names=name, max_points=100_000))
    return dict(zip(view.series[0].steps, view.series[0].values, strict=True))


def test_completed_job_shows_100_percent_every_step_and_its_phases(installation: Installation) -> None:
    job_id = installation.submit(config=QUICK)
    job = installation.wait_state(job_id, "completed", "failed")
    assert job.state == "completed"
    assert job.percent == 100.0
    assert [phase.state for phase in job.phases] == ["completed", "completed"]
    assert sorted(curve(installation, job_id)) == list(range(1, 41))
    assert job.environment is not None
    assert job.environment["threads"] == 1
    assert read_history(installation.engine, job_id).items


def test_next_job_of_a_kind_has_weights_learned_from_the_last_ones(installation: Installation) -> None:
    installation.wait_state(installation.submit(config=QUICK), "completed")
    learned = installation.submit(config=QUICK | {"steps": 400, "fail_at": {"step": 200, "how": "exit"}})
    job = installation.wait(learned, lambda job: job.attempt == 1 and job.phase == "working")
    weights = [phase.weight for phase in job.phases]
    assert sum(weights) == pytest.approx(1, abs=1e-4)
    assert weights[0] != pytest.approx(0.05)
    ended = installation.wait_state(learned, "completed")
    assert ended.attempt == 2
    assert [phase.weight for phase in ended.phases] == pytest.approx(weights, abs=1e-4)


def test_failed_job_says_what_it_was_and_what_helps(installation: Installation) -> None:
    job_id = installation.submit(config=QUICK | {"fail_at": {"step": 5, "how": "oom"}})
    job = installation.wait_state(job_id, "completed", "failed")
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.failure_class == "OOM"
    assert "step 5" in job.error.message
    assert job.error.advice is not None
    assert job.percent < 100
    assert sorted(curve(installation, job_id)) == [1, 2, 3, 4, 5]


def test_value_that_is_not_finite_is_null_with_its_kind(installation: Installation) -> None:
    job_id = installation.submit(config=QUICK | {"fail_at": {"step": 5, "how": "nan"}})
    installation.wait_state(job_id, "completed")
    series = read_metrics(installation.engine, job_id, MetricsQuery(names="m0")).series[0]
    assert series.values[4] is None
    assert series.nonfinite == {4: "NaN"}
    assert len(series.steps) == 40


def test_killed_job_process_goes_on_with_the_curve_of_an_uninterrupted_one(installation: Installation) -> None:
    whole = installation.submit(config=QUICK | {"seed": 7})
    broken = installation.submit(config=QUICK | {"seed": 7, "fail_at": {"step": 25, "how": "exit"}})
    installation.wait_state(whole, "completed")
    job = installation.wait_state(broken, "completed", "failed")
    assert (job.state, job.attempt) == ("completed", 2)
    assert curve(installation, broken) == curve(installation, whole)
    ghosts = read_metrics(installation.engine, broken, MetricsQuery(names="m0", layers=True)).layers
    assert ghosts is not None
    assert [(layer.attempt, layer.series[0].steps) for layer in ghosts] == [(1, [21, 22, 23, 24, 25])]


def test_job_that_dies_without_progress_is_failed_after_three_losses(installation: Installation) -> None:
    config = QUICK | {"checkpoint_every": 0, "fail_at": {"step": 3, "how": "exit", "attempts": 1000}}
    job_id = installation.submit(config=config)
    job = installation.wait_state(job_id, "completed", "failed")
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.failure_class == "WORKER_LOST"
    assert job.attempt == 4


def test_killed_worker_costs_nothing_but_a_lease(installation: Installation) -> None:
    worker = installation.start_worker("io,cpu")
    config = QUICK | {"steps": 150, "rest_seconds": 0.02, "seed": 3}
    jobs = [installation.submit(config=config) for _ in range(6)]
    wait_until(lambda: any(installation.job(job).percent > 20 for job in jobs), what="progress")
    groups = [group for (group,) in installation.query("SELECT process_group FROM attempts WHERE ended_at IS NULL")]
    installation.kill_worker(worker)
    for job_id in jobs:
        assert installation.wait_state(job_id, "completed", "failed").state == "completed"
    curves = [curve(installation, job_id) for job_id in jobs]
    assert all(sorted(each) == list(range(1, 151)) for each in curves)
    assert all(each == curves[0] for each in curves)
    assert not any(
        group and psutil.pid_exists(group) and psutil.Process(group).status() != "zombie" for group in groups
    )


def test_cancel_acts_at_the_next_step_and_leaves_no_process(installation: Installation) -> None:
    job_id = installation.submit(config=LONG)
    installation.wait(job_id, lambda job: job.state == "running" and job.step)
    group = installation.process_group(job_id)
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    job = installation.wait_state(job_id, "cancelled", timeout=90)
    assert job.percent < 100
    wait_until(lambda: not psutil.pid_exists(group), what="the end of its process")
    assert cancel_job(installation.engine, installation.runtime.signals, job_id).state == "cancelled"


def test_job_that_ignores_cancel_is_killed_after_the_grace(installation: Installation) -> None:
    job_id = installation.submit(config=QUICK | {"fail_at": {"step": 5, "how": "hang"}})
    installation.wait(job_id, lambda job: job.step == 5)
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    assert installation.wait_state(job_id, "cancelled", "failed", timeout=90).state == "cancelled"


def test_paused_job_frees_its_process_and_resumes_with_the_same_curve(installation: Installation) -> None:
    config = QUICK | {"steps": 200, "rest_seconds": 0.01, "seed": 11, "checkpoint_every": 0}
    whole = installation.submit(config=config)
    job_id = installation.submit(config=config)
    installation.wait(job_id, lambda job: job.step and job.step > 20)
    group = installation.process_group(job_id)
    pause_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "paused", timeout=90)
    wait_until(lambda: not psutil.pid_exists(group), what="the end of its process")
    resume_job(installation.engine, installation.runtime.signals, job_id)
    assert installation.wait_state(job_id, "completed", "failed").state == "completed"
    installation.wait_state(whole, "completed")
    assert curve(installation, job_id) == curve(installation, whole)


def test_time_limit_fails_the_job_as_timeout(installation: Installation) -> None:
    job_id = installation.submit(config=LONG, time_limit_seconds=1)
    job = installation.wait_state(job_id, "failed", "completed", timeout=60)
    assert job.error is not None
    assert job.error.failure_class == "TIMEOUT"


def test_retry_makes_a_new_job_with_lineage_and_what_waited_goes_on(installation: Installation) -> None:
    broken = installation.submit(config=QUICK | {"fail_at": {"step": 2, "how": "exception"}})
    waiter = installation.submit(config=QUICK, depends_on=[broken])
    installation.wait_state(broken, "failed")
    assert installation.job(waiter).state == "waiting"
    assert installation.job(waiter).waiting_for == [broken]
    request = RetryRequest(config={"fail_at": None})
    again = retry_job(installation.engine, installation.runtime.signals, broken, request)
    assert again.retry_of == broken
    assert installation.wait_state(again.id, "completed", "failed").state == "completed"
    assert installation.wait_state(waiter, "completed", "failed").state == "completed"


def test_running_job_cannot_be_retried(installation: Installation) -> None:
    job_id = installation.submit(config=LONG)
    with pytest.raises(ConflictError, match="cancel it first"):
        retry_job(installation.engine, installation.runtime.signals, job_id, RetryRequest())
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "cancelled")


class LostMessages:
    """Signals of a Redis that loses everything."""

    def wake(self, queue: str, job_id: str) -> None:
        """Lost."""

    def publish(self, messages: Iterable[Message]) -> None:
        """Lost."""


def test_queued_job_whose_message_is_lost_runs_all_the_same(installation: Installation) -> None:
    installation.wait_until_idle()
    job_id = submit_job(installation.engine, LostMessages(), JobRequest(kind="probe.work", config=QUICK)).id
    assert installation.wait_state(job_id, "completed", timeout=120).state == "completed"


def test_terminated_worker_gives_its_job_back_and_another_goes_on(installation: Installation) -> None:
    worker = installation.workers[0]
    job_id = installation.submit(config=LONG | {"steps": 400, "checkpoint_every": 0})
    installation.wait(job_id, lambda job: job.step and job.step > 5)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=90) == 0
    installation.workers.remove(worker)
    job = installation.job(job_id)
    assert (job.state, job.attempt) == ("queued", 1)
    installation.start_worker()
    done = installation.wait_state(job_id, "completed", "failed")
    assert (done.state, done.attempt) == ("completed", 2)
    assert len(curve(installation, job_id)) == 400


def test_worker_with_beat_ends_cleanly(installation: Installation) -> None:
    worker = installation.start_worker("system", beat=True)
    log = installation.worker_log(worker)
    wait_until(lambda: "ready" in log.read_text(), what="the worker")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=90) == 0
    installation.workers.remove(worker)


def test_what_the_process_prints_and_why_it_failed_stands_in_the_log(installation: Installation) -> None:
    job_id = installation.submit(config=QUICK | {"fail_at": {"step": 2, "how": "exception"}})
    installation.wait_state(job_id, "failed")
    events = read_events(installation.engine, job_id).items
    assert [event.no for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "job.failed"
    lines = read_logs(installation.engine, job_id).items
    assert any("RuntimeError" in line.text for line in lines)


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux has it")
def test_job_goes_before_postgres_when_memory_runs_out_and_waits_for_it_without_a_free_processor(
    installation: Installation,
) -> None:
    job_id = installation.submit(config=LONG)
    installation.wait(job_id, lambda job: job.step)
    process = installation.process_group(job_id)
    assert Path(f"/proc/{process}/oom_score_adj").read_text() == "500\n"
    assert os.getpriority(os.PRIO_PROCESS, process) > os.getpriority(os.PRIO_PROCESS, os.getpid())
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "cancelled")
