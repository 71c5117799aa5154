"""Redis and Postgres go away in every way: jobs go on, nothing is lost, all of it arrives once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from tests.chaos.storms import effective_curve, until_all_over
from tests.installation import Installation, open_installation, wait_until
from tests.services import running

Report = Callable[[str, str, str, str], None]
WORK = {
    "steps": 300,
    "step_seconds": 0.002,
    "rest_seconds": 0.02,
    "inner": 3,
    "checkpoint_every": 50,
    "metrics": 1,
    "seed": 5,
}


class Services:
    """A Postgres and a Valkey of this test's own, which it may stop and start."""

    def __init__(self, folder: Path) -> None:
        prepare_data_dir(folder, service_account())
        self.folder = folder
        self.cluster = postgres.prepare_cluster(folder, runtime_dir(folder))
        self.queue = valkey.prepare_queue(folder)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._running: list[object] = []  # what ends a process when it is let go

    def start(self, name: str) -> None:
        """Start one and wait until it answers."""
        made = {"postgres": self.cluster, "valkey": self.queue}[name]
        stop = signal.SIGINT if name == "postgres" else signal.SIGTERM
        manager = running(made.command, stop, self.folder / "logs" / f"{name}.log")
        self.processes[name] = manager.__enter__()
        self._running.append(manager)
        {"postgres": postgres, "valkey": valkey}[name].wait_ready(made.url)

    def end(self, name: str, how: signal.Signals) -> None:
        """Send it a signal and wait for its end."""
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(timeout=30)

    def close(self) -> None:
        """End what runs and remove everything."""
        for name in list(self.processes):
            self.end(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        shutil.rmtree(runtime_dir(self.folder), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def own_services() -> Iterator[Services]:
    """Services that run, and are gone afterwards."""
    services = Services(Path(tempfile.mkdtemp(prefix="hwc-", dir="/tmp")))
    try:
        services.start("postgres")
        services.start("valkey")
        yield services
    finally:
        services.close()


@contextmanager
def own_installation(**environment: str) -> Iterator[tuple[Services, Installation]]:
    """An installation on services of its own, with both workers; `environment` is what jobs see beside their own."""
    with (
        own_services() as services,
        open_installation(services.cluster.url, services.queue.url, HEADWAY_LEASE_SECONDS="15") as installation,
    ):
        installation.start_worker(**environment)
        installation.start_worker("system", beat=True)
        yield services, installation


def assert_nothing_lost(installation: Installation, jobs: list[str], timeout: float) -> None:
    """All completed, on their first attempt, with every step."""
    ended = until_all_over(installation, jobs, timeout)
    assert [job.state for job in ended] == ["completed"] * len(jobs)
    assert all(sorted(effective_curve(installation, job_id)) == list(range(1, WORK["steps"] + 1)) for job_id in jobs)


#: A job process's `sitecustomize`: notes the longest call of `job.log` in each second.
TIMES_LOG = """
import sys
if "headway.jobs.process" in sys.orig_argv:
    import atexit, json, time
    from pathlib import Path
    from headway.spool.writer import SpoolWriter
    log, longest = SpoolWriter.log, {}
    def timed(self, step, /, **metrics):
        began = time.perf_counter()
        log(self, step, **metrics)
        second = int(time.time())
        longest[second] = max(longest.get(second, 0.0), time.perf_counter() - began)
    SpoolWriter.log = timed
    atexit.register(lambda: Path("longest.json").write_text(json.dumps(longest)))
"""


def longest_log(installation: Installation, begin: float, end: float) -> str:
    """The longest call of `job.log` in any job between two moments (Unix seconds): over all, and in a usual second."""
    files = (installation.settings.headway_data_dir / "jobs").glob("*/*/longest.json")
    calls = [(int(second), took) for path in files for second, took in json.loads(path.read_text()).items()]
    longest = [1000 * took for second, took in calls if begin <= second < end]
    return f"{max(longest):.2f} ms (in a usual second {median(longest):.3f})"


def moving(installation: Installation, job_id: str) -> None:
    """Wait until the job works."""
    installation.wait(job_id, lambda job: job.step and job.step > 3)


def test_job_goes_on_while_postgres_is_away_and_all_of_it_arrives() -> None:
    with own_installation() as (services, installation):
        job_id = installation.submit(config=WORK)
        moving(installation, job_id)
        services.end("postgres", signal.SIGQUIT)
        time.sleep(3)
        services.start("postgres")
        back = time.monotonic()
        installation.wait(job_id, lambda job: job.step and job.step > 100, timeout=30)
        assert time.monotonic() - back < 15
        assert_nothing_lost(installation, [job_id], 60)
        assert installation.job(job_id).attempt == 1


def test_queued_job_starts_soon_after_redis_is_back() -> None:
    with own_installation() as (services, installation):
        running_job = installation.submit(config=WORK)
        moving(installation, running_job)
        services.end("valkey", signal.SIGKILL)
        queued = installation.submit(config=WORK | {"steps": 300})
        services.start("valkey")
        installation.wait(queued, lambda job: job.state != "queued", timeout=15)
        assert_nothing_lost(installation, [running_job, queued], 60)
        assert installation.job(running_job).attempt == 1


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_redis_killed_and_emptied_under_load(report: Report, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TIMES_LOG)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with own_installation(PYTHONPATH=path) as (services, installation):
        jobs = [installation.submit(config=WORK) for _ in range(20)]
        began = time.time()
        wait_until(lambda: installation.job(jobs[0]).state == "completed", what="a job without trouble")
        troubled = time.time()
        for _ in range(5):
            time.sleep(1.5)
            services.end("valkey", signal.SIGKILL)
            services.start("valkey")
            time.sleep(1.5)
            installation.runtime.redis.flushall()
        services.processes["valkey"].send_signal(signal.SIGSTOP)
        moved_before = [installation.job(job_id).step or 0 for job_id in jobs]
        time.sleep(60)
        moved_while = [installation.job(job_id).step or 0 for job_id in jobs]
        services.processes["valkey"].send_signal(signal.SIGCONT)
        assert_nothing_lost(installation, jobs, 400)
        assert sum(moved_while) > sum(moved_before)
        gained = sum(moved_while) - sum(moved_before)
        attempts = max(installation.job(job_id).attempt for job_id in jobs)
        before, during = (longest_log(installation, *span) for span in ((began, troubled), (troubled, time.time())))
        seen = (
            f"0 of 20 lost, {gained} steps while frozen, most attempts {attempts}; "
            f"longest job.log {before} before, {during} during"
        )
        report("4 Redis", "kill -9 x5, FLUSHALL x5, frozen 60 s", seen, "0 lost, no step waits")
        assert attempts == 1


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_postgres_stopped_three_times_for_thirty_seconds(report: Report) -> None:
    with own_installation() as (services, installation):
        jobs = [installation.submit(config=WORK | {"steps": 300, "step_seconds": 0.2}) for _ in range(2)]
        slowest = 0.0
        for _ in range(3):
            for job_id in jobs:
                moving(installation, job_id)
            services.end("postgres", signal.SIGQUIT)
            time.sleep(30)
            services.start("postgres")
            back = time.monotonic()
            revision = installation.job(jobs[0]).revision
            wait_until(
                lambda before=revision: (
                    installation.job(jobs[0]).revision > before or installation.job(jobs[0]).state == "completed"
                ),
                timeout=20,
                what="progress after Postgres is back",
            )
            slowest = max(slowest, time.monotonic() - back)
        assert_nothing_lost(installation, jobs, 200)
        report(
            "5 Postgres",
            "immediate stop x3, 30 s away",
            f"0 failed, 0 lost, back in {slowest:.1f} s",
            "healthy <= 10 s",
        )
        assert slowest <= 10
