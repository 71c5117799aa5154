"""Random SIGKILL of jobs, workers and the reaper: everything ends completed, each step once, nothing twice."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from headway.errors import ConflictError
from headway.services.control_job import cancel_job
from tests.chaos.storms import Recovery, Storm, effective_curve, orphans, quantile, until_all_over
from tests.installation import Installation, open_installation, wait_until

Report = Callable[[str, str, str, str], None]
STORM_SECONDS = 300.0
WORK = {"steps": 120, "step_seconds": 0.002, "rest_seconds": 0.02, "inner": 3, "checkpoint_every": 10, "metrics": 1}


@pytest.fixture
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(
        postgres_url,
        redis_url,
        HEADWAY_SLOTS="gpu=1,cpu=4,io=2,system=2",
        HEADWAY_LEASE_SECONDS="15",
        HEADWAY_RECOVER_INTERVAL_SECONDS="2",
        HEADWAY_MAX_LOST_ATTEMPTS="50",
    ) as opened:
        yield opened


def assert_storm_cost_nothing(installation: Installation, jobs: list[str], timeout: float) -> None:
    """All completed; every step once in the effective curve; the same curve in every job of the same seed."""
    ended = until_all_over(installation, jobs, timeout)
    assert [job.state for job in ended] == ["completed"] * len(jobs)
    curves = [effective_curve(installation, job_id) for job_id in jobs]
    assert all(sorted(curve) == list(range(1, WORK["steps"] + 1)) for curve in curves)
    assert all(curve == curves[0] for curve in curves)
    completions = installation.query(
        "SELECT job_id, count(*) FROM job_events WHERE type = 'job.completed' GROUP BY 1 HAVING count(*) <> 1"
    )
    assert completions == []
    assert orphans(installation) == []


def test_short_storm(installation: Installation) -> None:
    jobs = [installation.submit(config=WORK) for _ in range(5)]
    storm = Storm(installation, seed=1, every_seconds=(1.0, 2.0))
    with storm.raging():
        wait_until(lambda: sum(storm.killed.values()) >= 4, timeout=120, what="four kills")
    assert_storm_cost_nothing(installation, jobs, timeout=200)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_sixty_jobs_through_five_minutes_of_kills(installation: Installation, report: Report) -> None:
    jobs = [installation.submit(config=WORK | {"step_seconds": 0.08, "rest_seconds": 0}) for _ in range(60)]
    storm = Storm(installation, seed=7, every_seconds=(1.0, 4.0))
    with storm.raging():
        deadline = time.monotonic() + STORM_SECONDS
        wait_until(lambda: time.monotonic() > deadline, timeout=STORM_SECONDS + 60, what="the end of the storm")
    assert_storm_cost_nothing(installation, jobs, timeout=600)
    took = storm.recoveries()
    report_by_cause(report, storm.killed, took)
    assert quantile((each.told for each in took), 0.99) <= 30


def report_by_cause(report: Report, killed: Mapping[str, int], took: Sequence[Recovery]) -> None:
    """A row for all and one for each thing killed: where the time goes from a death to the process started again."""
    for what in ("all", *sorted(killed)):
        of_it = [each for each in took if what in ("all", each.what)]
        shown = ", ".join(
            f"{name} {quantile(times, 0.5):.1f} / {quantile(times, 0.99):.1f} s"
            for name, times in (
                ("noticed", [each.noticed for each in of_it]),
                ("claimed", [each.claimed for each in of_it]),
                ("process speaks", [each.told for each in of_it]),
            )
        )
        seen = f"{len(of_it)} recoveries; p50 / p99: {shown}" if of_it else "no job needed it"
        count = sum(killed.values()) if what == "all" else killed[what]
        done = f"{count} kills of {'jobs, workers, reapers among 60 jobs' if what == 'all' else what}"
        report("1 kill storm", done, seen, "p99 <= 30 s, all once")


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_stopped_supervisor_writes_nothing_after_a_rival(installation: Installation, report: Report) -> None:
    stale = 0
    tried = 20
    installation.start_worker("system", beat=True)
    for _ in range(tried):
        first = installation.start_worker("cpu", HEADWAY_LEASE_SECONDS="2")
        job_id = installation.submit(config=WORK | {"steps": 60})
        installation.wait(job_id, lambda job: job.step and job.step > 5)
        os.kill(first.pid, signal.SIGSTOP)
        rival = installation.start_worker("cpu")
        installation.wait_state(job_id, "completed", timeout=60)
        before = installation.job(job_id)
        os.kill(first.pid, signal.SIGCONT)
        first.send_signal(signal.SIGTERM)
        first.wait(timeout=20)
        rival.send_signal(signal.SIGTERM)
        rival.wait(timeout=20)
        installation.workers = [worker for worker in installation.workers if worker not in (first, rival)]
        after = installation.job(job_id)
        stale += after.model_dump(exclude={"data_age_seconds"}) != before.model_dump(exclude={"data_age_seconds"})
        assert sorted(effective_curve(installation, job_id)) == list(range(1, 61))
    report("2 stopped supervisor", f"{tried} times past its lease", f"{stale} stale writes", "0 stale writes")
    assert stale == 0


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_cancel_in_every_state_ends_the_right_job_in_time(installation: Installation, report: Report) -> None:
    installation.start_worker()
    installation.start_worker("system", beat=True)
    jobs = [
        installation.submit(config=WORK | {"steps": 400, "step_seconds": 0.01, "rest_seconds": 0}) for _ in range(100)
    ]
    kept = set(jobs[::5])
    waits: list[float] = []
    for number, job_id in enumerate(job for job in jobs if job not in kept):
        if number % 3 == 0:
            wait_until(lambda: any(installation.job(job).state == "running" for job in jobs), what="a running job")
        with_running = next(
            (job for job in jobs if job not in kept and installation.job(job).state == "running"), job_id
        )
        for target in dict.fromkeys((with_running, job_id)):
            try:
                cancel_job(installation.engine, installation.runtime.signals, target)
            except ConflictError:
                continue
    ended = until_all_over(installation, jobs, timeout=600)
    wrong = [job.id for job in ended if job.id in kept and job.state != "completed"]
    # the promise counts from the next step: jobs that had made none yet are left out
    rows = installation.query(
        "SELECT extract(epoch FROM b.at - a.at)::float8 FROM job_events a JOIN job_events b USING (job_id) "
        "WHERE a.type = 'job.cancelling' AND b.type = 'job.cancelled' AND EXISTS ("
        "  SELECT 1 FROM progress_history h WHERE h.job_id = a.job_id AND h.step IS NOT NULL AND h.at < a.at)"
    )
    waits = sorted(float(seconds) for (seconds,) in rows)
    cancelled = sum(job.state == "cancelled" for job in ended)
    slowest = waits[-1] if waits else 0.0
    report(
        "8 cancel",
        f"{cancelled} of 100 cancelled",
        f"slowest {slowest:.2f} s, wrong ones {len(wrong)}",
        "<= 2 s, none wrong",
    )
    assert wrong == []
    assert slowest <= 2.0
    assert orphans(installation) == []
    assert all(itertools.chain([cancelled > 60], (job.state in ("completed", "cancelled") for job in ended)))
