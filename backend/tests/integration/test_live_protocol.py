"""One protocol, two clients: the dashboard's modules in Node and their twin in Python, against a real instance.

What the job says is committed by the real drain; which of its pushes are sent, the test decides.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.domain.endings import Ending, Outcome, Patience
from headway.local.valkey import free_port
from headway.realtime.channels import Message
from headway.services.announce import announce_workers
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.drain import Drain
from headway.services.finish_attempt import finish_attempt
from headway.services.ports import Signals
from headway.services.recover_jobs import recover_jobs
from headway.services.submit_job import JobRequest, submit_job
from headway.settings import Settings
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from headway.storage.engine import transaction
from headway.workers.output import read_output
from tests.installation import wait_until
from tests.integration.api_server import Server, make_settings, serving

ROOT = Path(headway.__file__).resolve().parents[2]
CLIENTS = {
    "python": [sys.executable, str(Path(__file__).with_name("live_driver.py"))],
    "node": [str(ROOT / ".venv" / "bin" / "node"), str(ROOT / "frontend" / "tests" / "live" / "driver.mjs")],
}
PLAN = {"phases": [{"name": "working", "title": "Working", "weight": 1, "optional": False}]}
WAIT_SECONDS = 90.0


class Unheard:
    """Signals of a worker that has lost its Redis."""

    def wake(self, queue: str, job_id: str) -> None:
        """Nobody hears it."""

    def publish(self, messages: Iterable[Message]) -> None:
        """Nobody hears it."""


class Client:
    """A client process; `told` is everything it said, by stream."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def send(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    @property
    def mode(self) -> str | None:
        return next((said["mode"] for said in reversed(self.said) if "mode" in said), None)

    def wait_mode(self, mode: str) -> None:
        wait_until(lambda: self.mode == mode, WAIT_SECONDS, f"mode {mode}")

    def told(self, stream: str) -> list[Any]:
        return [said["told"] for said in self.said if said.get("stream") == stream and "told" in said]

    def resets(self, stream: str) -> list[str]:
        return [said["reset"] for said in self.said if said.get("stream") == stream and "reset" in said]

    def over(self, stream: str) -> bool:
        return any(said.get("stream") == stream and said.get("over") for said in self.said)

    def lines(self) -> list[int]:
        return [line["no"] for line in self.told("logs")]

    def steps(self) -> list[int]:
        return [step for points in self.told("metrics") for each in points["series"] for step in each["steps"]]


@contextmanager
def running(name: str, server: Server) -> Iterator[Client]:
    process = subprocess.Popen(
        [*CLIENTS[name], server.url, server.token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend"), "NODE_NO_WARNINGS": "1"},
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        process.wait(10)


class Job:
    """A job whose process is the test."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._runtime = server.api.runtime
        self._me = Claimant("test", "here", 600.0)
        self._step = 0
        # a runtime closes with its instance; the worker is somebody else
        self.signals: Signals = self._runtime.signals
        self.id = submit_job(self._runtime.engine, self.signals, JobRequest(kind="probe.work")).id
        self.attempt(folder)

    def attempt(self, folder: Path) -> None:
        """Claim it (again)."""
        row = claim_job(self._runtime.engine, self.signals, self._me, "cpu", self.id)
        assert row is not None
        self._feed = new_feed(row, self._me)
        self._writer = SpoolWriter(folder / "spool")
        self._writer.event(EventKind.PLAN, PLAN)
        self._writer.event(EventKind.PHASE_STARTED, {"name": "working"})
        self._folder = folder

    def work(self, steps: int, signals: Signals | None = None) -> None:
        """So many steps, a metric and a line each, and a drain each."""
        signals = signals or self.signals
        drain = Drain(self._runtime.engine, signals, self._feed, self._folder, read_output)
        for _ in range(steps):
            self._step += 1
            self._writer.log(self._step, loss=1.0 / self._step)
            self._writer.event(EventKind.LOG, {"level": "info", "text": f"step {self._step}"})
            counters = [{"unit": "step", "current": self._step, "total": 100}]
            self._writer.event(EventKind.COUNTERS, {"phase": "working", "counters": counters})
            drain.step()

    def finish(self, signals: Signals | None = None) -> None:
        """Complete it."""
        ending = Ending(Outcome.COMPLETED)
        finish_attempt(self._runtime.engine, signals or self.signals, self._feed, ending, Patience(3))

    def lose(self) -> None:
        """Its worker dies; another claims what is left."""
        self.query("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id")
        recover_jobs(self._runtime.engine, Unheard(), Patience(3), 0.0, list)
        self._me = replace(self._me, owner=f"{self._me.owner}+")

    def query(self, statement: str) -> None:
        from sqlalchemy import text

        with transaction(self._runtime.engine) as connection:
            connection.execute(text(statement), {"id": self.id})


@pytest.fixture(scope="module")
def settings(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_settings(tmp_path_factory.mktemp("data"), postgres_url, redis_url)


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_cuts_restarts_and_missed_pushes_leave_no_gap(settings: Settings, name: str, tmp_path: Path) -> None:
    port = free_port()
    # the worker's side: an instance that stays, for its runtime
    with serving(settings) as worker, ExitStack() as instance:
        server = instance.enter_context(serving(settings, port))
        job = Job(worker, tmp_path)
        with running(name, server) as client:
            for stream in ("job", "logs", "events", "metrics"):
                client.send(follow=stream, job=job.id)
            client.send(follow="jobs")
            job.work(5)
            wait_until(lambda: client.lines() == client.steps() == [1, 2, 3, 4, 5], WAIT_SECONDS, "the beginning")
            client.wait_mode("pushed")
            announce_workers(job.signals, "joined", [{"id": "another", "host": "elsewhere"}])

            client.send(cut=True)
            job.work(5)
            wait_until(lambda: client.lines()[-1:] == client.steps()[-1:] == [10], WAIT_SECONDS, "what came in the cut")

            instance.close()
            job.work(5)
            client.wait_mode("offline")
            instance.enter_context(serving(settings, port))
            wait_until(lambda: client.lines()[-1:] == client.steps()[-1:] == [15], WAIT_SECONDS, "what came meanwhile")
            client.wait_mode("pushed")

            job.work(5, Unheard())
            job.work(1)
            wait_until(lambda: client.lines()[-1:] == client.steps()[-1:] == [21], WAIT_SECONDS, "what was not pushed")

            job.work(1, Unheard())
            job.finish(Unheard())
            for stream in ("job", "logs", "events", "metrics"):
                wait_until(lambda stream=stream: client.over(stream), 2 * WAIT_SECONDS, f"the end of {stream}")
            states = lambda: [each["state"] for each in client.told("jobs") if each["id"] == job.id]  # noqa: E731
            wait_until(lambda: states()[-1] == "completed", 2 * WAIT_SECONDS, "the end among all jobs")
        assert client.lines() == client.steps() == list(range(1, 23))
        events = [event["no"] for event in client.told("events")]
        assert events == list(range(1, len(events) + 1))
        assert client.told("events")[-1]["type"] == "job.completed"
        for stream in ("job", "jobs"):
            told = [each for each in client.told(stream) if each["id"] == job.id]
            revisions = [each["revision"] for each in told]
            assert revisions == sorted(set(revisions))
            assert (told[-1]["state"], told[-1]["percent"]) == ("completed", 100.0)
        assert not any("reset" in said or "error" in said for said in client.said)


def test_history_that_is_gone_is_said(settings: Settings, name: str, tmp_path: Path) -> None:
    with serving(settings) as server:
        job = Job(server, tmp_path)
        job.work(10)
        job.query("DELETE FROM job_logs WHERE job_id = :id AND no <= 6")
        restored = Job(server, tmp_path / "restored")
        with running(name, server) as client:
            client.send(follow="logs", job=job.id, held=3)
            client.send(follow="job", job=restored.id, held=1_000_000)
            wait_until(lambda: client.lines() == [7, 8, 9, 10], WAIT_SECONDS, "what is left")
            wait_until(lambda: client.told("job"), WAIT_SECONDS, "the job as it is now")
            assert client.resets("logs") == ["what came before number 7 is kept no longer"]
            assert client.resets("job") == ["the server is behind what was told"]
            client.send(follow="metrics", job="aaaaaaaaaaaa")
            missing = lambda: [said["error"] for said in client.said if said.get("stream") == "metrics"]  # noqa: E731
            assert "there is no job aaaaaaaaaaaa" in wait_until(missing, WAIT_SECONDS, "the refusal")[0]


def test_new_attempt_takes_back_steps_and_says_so(settings: Settings, name: str, tmp_path: Path) -> None:
    with serving(settings) as server:
        job = Job(server, tmp_path / "1")
        job.work(6)
        with running(name, server) as client:
            client.send(follow="metrics", job=job.id)
            wait_until(lambda: client.steps() == [1, 2, 3, 4, 5, 6], WAIT_SECONDS, "the first attempt")
            job.lose()
            job.attempt(tmp_path / "2")
            job.work(2)
            wait_until(lambda: client.resets("metrics"), WAIT_SECONDS, "the reset")
            wait_until(lambda: client.steps()[-1:] == [8], WAIT_SECONDS, "the second attempt")
            assert client.resets("metrics") == ["attempt 2 began"]


def test_without_a_socket_it_is_polled_to_the_end(settings: Settings, name: str, tmp_path: Path) -> None:
    deaf = settings.model_copy(update={"redis_ws_url": f"redis://127.0.0.1:{free_port()}/1"})
    with serving(deaf) as server:
        job = Job(server, tmp_path)
        with running(name, server) as client:
            for stream in ("job", "logs"):
                client.send(follow=stream, job=job.id)
            client.wait_mode("polled")
            job.work(3)
            wait_until(lambda: client.lines() == [1, 2, 3], WAIT_SECONDS, "polled lines")
            job.finish()
            wait_until(lambda: client.over("job") and client.over("logs"), WAIT_SECONDS, "the end")
            assert client.told("job")[-1]["state"] == "completed"
