"""A whole installation for tests: migrated database, queue, data directory, and workers that are real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from headway.bootstrap import Runtime, open_runtime
from headway.parent_death import PARENT_PID
from headway.services import read_jobs
from headway.services.submit_job import JobRequest, submit_job
from headway.services.views import JobView
from headway.settings import Settings
from headway.storage.engine import transaction
from headway.storage.migrate import upgrade

WAIT_SECONDS = 200.0
_numbers = count(1)
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], timeout: float = WAIT_SECONDS, what: str = "the condition", every: float = 0.1
) -> T:
    """Poll a condition until it holds, often at first; fails with what it was after the timeout."""
    deadline = time.monotonic() + timeout
    pause = min(0.02, every)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout:g} s; last: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.2, every)  # a few tests wait at a time, on few cores


@dataclass
class Installation:
    """What tests work with."""

    settings: Settings
    runtime: Runtime
    environment: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    apis: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: dict[int, Path] = field(default_factory=dict)

    @property
    def engine(self) -> Any:
        """The database."""
        return self.runtime.engine

    def submit(self, kind: str = "probe.work", config: dict[str, Any] | None = None, **more: Any) -> str:
        """Submit a job and answer its id."""
        request = JobRequest(kind=kind, config=config or {}, **more)
        return submit_job(self.engine, self.runtime.signals, request).id

    def job(self, job_id: str) -> JobView:
        """The job as clients see it."""
        return read_jobs.get_job(self.engine, job_id)

    def wait(self, job_id: str, condition: Callable[[JobView], Any], timeout: float = WAIT_SECONDS) -> JobView:
        """The job once it meets the condition."""
        last: list[JobView] = []

        def met() -> bool:
            last[:] = [self.job(job_id)]
            return bool(condition(last[0]))

        try:
            wait_until(met, timeout, f"job {job_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the job: {last[0].model_dump_json(by_alias=True)}") from None
        return last[0]

    def wait_state(self, job_id: str, *states: str, timeout: float = WAIT_SECONDS) -> JobView:
        """The job once it is in one of the states."""
        return self.wait(job_id, lambda job: job.state in states, timeout)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with transaction(self.engine) as connection:
            result = connection.exec_driver_sql(statement, parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def wait_until_idle(self) -> None:
        """No job is queued or held: no worker looks into the queue by itself any more."""
        statement = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'pausing', 'cancelling')"
        wait_until(lambda: self.query(statement)[0][0] == 0, what="the end of all jobs")

    def process_group(self, job_id: str) -> int:
        """The process group of the newest attempt, once it runs."""
        statement = "SELECT process_group FROM attempts WHERE job_id = %s ORDER BY number DESC LIMIT 1"
        rows = wait_until(lambda: [row for row in self.query(statement, job_id) if row[0]], what="a process group")
        return int(rows[0][0])

    def start_worker(
        self, queues: str = "gpu,cpu,io", *, beat: bool = False, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker process; it ends with the test run in any case."""
        code = (
            "import gc; gc.disable(); "
            "from headway.settings import load_settings; from headway.workers.app import serve; "
            f"from headway.leaving import leave; serve(load_settings(), {queues.split(',')!r}, beat={beat}); leave()"
        )
        log = Path(self.environment["HEADWAY_DATA_DIR"]) / f"worker-{next(_numbers)}.log"
        with log.open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "-c", code],
                env=self.environment | {PARENT_PID: str(os.getpid())} | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.workers.append(worker)
        self.logs[worker.pid] = log
        return worker

    def worker_log(self, worker: subprocess.Popen[bytes]) -> Path:
        """What a worker wrote."""
        return self.logs[worker.pid]

    def start_api(self, **environment: str) -> str:
        """Start an API process and answer its address once it is up; it ends with the test run in any case."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        named = {"HEADWAY_PORT": str(port), PARENT_PID: str(os.getpid())} | environment
        log = Path(self.environment["HEADWAY_DATA_DIR"]) / f"api-{port}.log"
        with log.open("ab") as output:
            command = [sys.executable, "-m", "headway.cli.main", "api"]
            self.apis.append(subprocess.Popen(command, env=self.environment | named, stdout=output, stderr=output))
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(address), what=f"the API (see {log})")
        return address

    def kill_worker(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL the worker's whole tree, as a power cut would."""
        processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        for process in processes:
            process.kill()
        worker.wait(timeout=30)
        self.workers.remove(worker)

    def close(self) -> None:
        """Stop every worker and close the runtime."""
        processes = [*self.workers, *self.apis]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        self.runtime.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def open_installation(postgres_url: str, redis_url: str, **settings: str) -> Iterator[Installation]:
    """A migrated installation with a data directory of its own."""
    upgrade(postgres_url)
    with tempfile.TemporaryDirectory(prefix="hw-", ignore_cleanup_errors=True) as folder:
        named = {
            "HEADWAY_DATA_DIR": folder,
            "HEADWAY_DATABASE_URL": postgres_url,
            "HEADWAY_REDIS_URL": redis_url,
            "HEADWAY_TOKEN": "test-token",
            "HEADWAY_LEASE_SECONDS": "3",
            "HEADWAY_RECOVER_INTERVAL_SECONDS": "1",
            "HEADWAY_STOP_GRACE_SECONDS": "3",
            **settings,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")} | named
        opened = Settings.model_validate({name.lower(): value for name, value in named.items()})
        installation = Installation(opened, open_runtime(opened), environment)
        try:
            yield installation
        finally:
            installation.close()
