"""Supervises one attempt: starts the job's process, drains its spool into Postgres, passes commands on, ends it.

Postgres being away is no reason to end a job: what the job says stays in its spool, and the drain is tried again.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from headway.bootstrap import Runtime
from headway.domain import eta
from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.failures import Failure, FailureClass, classify_exit
from headway.domain.states import JobState
from headway.errors import FencedError, InvalidInputError, PullError, UnavailableError
from headway.jobs.order import JobOrder
from headway.jobs.registry import get_kind
from headway.logs import secrets_of
from headway.services.claim_job import Claimant, new_feed
from headway.services.drain import Drain
from headway.services.finish_attempt import ending_of_result, finish_attempt
from headway.services.prepare_attempt import prepare_attempt
from headway.services.start_attempt import (
    begin_attempt,
    drop_superseded,
    earlier_attempts,
    hold,
    note_process,
    seconds_run_before,
)
from headway.services.typical_phases import typical_phases
from headway.spool.control import Control
from headway.storage.rows import Row
from headway.workers.bring_files import Bringer, BringStopped
from headway.workers.environment import capture_environment
from headway.workers.oom import oom_kills
from headway.workers.output import bound_output, read_output
from headway.workers.share import Sharer
from headway.workers.spawner import end_group_of, kill_group, spawn

RETRY_SECONDS = 1.0
HOLD_SECONDS = 0.5

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Supervisor:
    """One attempt of one job, from its claim to its final state; given back when `shutting_down` says so."""

    def __init__(self, runtime: Runtime, claimant: Claimant, row: Row, shutting_down: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._secrets = secrets_of(runtime.settings)
        self._claimant = claimant
        self._row = row
        self._shutting_down = shutting_down
        self._feed = new_feed(row, claimant)
        self._log = log.bind(job_id=row["id"], attempt=row["attempt"], kind=row["kind"])
        self._stop_asked_at: float | None = None
        self._stopping = threading.Event()
        self._timed_out = False
        self._oom_kills_before = oom_kills()
        self._ran_before = 0.0
        self._began = time.monotonic()

    def run(self) -> None:
        """Run the attempt to its end and commit it; a superseded attempt ends its process and writes nothing."""
        try:
            ending = self._run_process()
            row = self._until_available(lambda: self._finish(ending))
            self._log.info("attempt ended", outcome=ending.outcome, state=row["state"] if row else "superseded")
        except FencedError as error:
            self._log.warning("attempt superseded", reason=str(error))

    def _run_process(self) -> Ending:
        try:
            self._until_available(self._take_over_earlier)
            self._ran_before = self._until_available(lambda: seconds_run_before(self._runtime.engine, self._row))
            typical = self._until_available(
                lambda: typical_phases(self._runtime.engine, self._row["kind"], self._claimant.host)
            )
            self._feed.forecaster = eta.Forecaster(typical=typical)
            bringer = Bringer(self._runtime.engine, self._settings, self._row, self._stopping.is_set)
            self._until_available(lambda: self._while_holding(bringer.bring))
            folder, order = self._until_available(
                lambda: prepare_attempt(self._runtime.engine, self._settings, self._row, typical)
            )
            command = f"python -m headway.jobs.process {folder}"
            environment = capture_environment(self._claimant.host, order.threads, command, self._row["gpus"])
            self._until_available(
                lambda: begin_attempt(self._runtime.engine, self._runtime.signals, self._feed, environment, order)
            )
            self._until_available(
                lambda: drop_superseded(
                    self._runtime.engine, self._settings.headway_data_dir, self._claimant.host, self._row, order
                )
            )
            secrets = get_kind(self._row["kind"]).secrets
            gpus = [gpu["id"] for gpu in self._row["gpus"]]
            process = spawn(folder, threads=order.threads, secrets=secrets, settings=self._settings, gpus=gpus)
        except InvalidInputError as error:
            return Ending(Outcome.FAILED, Failure(FailureClass.VALIDATION, str(error)))
        except PullError as error:
            return Ending(Outcome.FAILED, Failure(FailureClass.NETWORK, str(error)))
        except BringStopped:
            return self._timeout() if self._timed_out else Ending(Outcome.PAUSED)
        except OSError as error:
            return Ending(Outcome.FAILED, Failure(FailureClass.UNKNOWN, f"its process could not be started: {error}"))
        self._log.info("attempt started", pid=process.pid)
        try:
            self._until_available(lambda: note_process(self._runtime.engine, self._feed, process.pid))
            return self._drain_until_ended(process, folder, order)
        finally:
            kill_group(process.pid)
            process.wait()

    def _take_over_earlier(self) -> None:
        """On this host: end what earlier attempts still run, then take in what they left in their spools."""
        data_dir = self._settings.headway_data_dir
        for folder, attempt in earlier_attempts(self._runtime.engine, data_dir, self._row, self._claimant.host):
            if attempt["process_group"]:
                end_group_of(folder, attempt["process_group"])
            feed = new_feed(self._row | {"attempt": attempt["number"]}, self._claimant)
            feed.spool_offset, feed.output_offset = attempt["spool_offset"], attempt["output_offset"]
            Drain(self._runtime.engine, self._runtime.signals, feed, folder, read_output, self._secrets).take_rest()

    def _while_holding(self, call: Callable[[], None]) -> None:
        """Run what may take long before or after the process, prolonging the lease; told to stop, it soon ends."""
        with ThreadPoolExecutor(1, thread_name_prefix="headway-files") as pool:
            future = pool.submit(call)
            try:
                while not wait([future], timeout=HOLD_SECONDS).done:
                    with suppress(UnavailableError):
                        state = hold(self._runtime.engine, self._feed)
                        if state != JobState.RUNNING or self._shutting_down() or self._time_is_over():
                            self._stopping.set()
            finally:
                self._stopping.set()
            future.result()
        self._stopping.clear()

    def _drain_until_ended(self, process: subprocess.Popen[bytes], folder: Path, order: JobOrder) -> Ending:
        drain = Drain(self._runtime.engine, self._runtime.signals, self._feed, folder, read_output, self._secrets)
        control = Control.open(folder / "control")
        interval = self._settings.headway_drain_interval_ms / 1000
        sharer = Sharer(self._settings, self._row, folder)
        bounded_to = 0
        while process.poll() is None:
            began = time.monotonic()
            bounded_to = bound_output(folder, bounded_to)
            try:
                state = drain.step()
            except UnavailableError as error:
                self._log.warning("drain put off", reason=str(error))
                state = None
                self._pause_between(process, RETRY_SECONDS)
            self._pass_on(state, control, process)
            sharer.offer()
            self._pause_between(process, interval - (time.monotonic() - began))
        kill_group(process.pid)
        self._until_available(drain.take_rest)
        ending = self._ending(process.returncode)
        completed = ending.outcome is Outcome.COMPLETED
        self._while_holding(lambda: sharer.finish([Path(path) for path in order.outputs.values()], completed=completed))
        return ending

    def _pause_between(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        if seconds > 0:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                return

    def _pass_on(self, state: str | None, control: Control, process: subprocess.Popen[bytes]) -> None:
        """Raise the job's flags; kill its group once the grace is over."""
        if state == JobState.CANCELLING or self._time_is_over():
            control.cancel()
        elif state == JobState.PAUSING or self._shutting_down():
            control.pause()
        else:
            return
        self._stop_asked_at = self._stop_asked_at or time.monotonic()
        if time.monotonic() - self._stop_asked_at > self._settings.headway_stop_grace_seconds:
            self._log.warning("grace is over: the process is killed")
            kill_group(process.pid)

    def _time_is_over(self) -> bool:
        """Time paused, queued or lost between attempts does not count."""
        limit = self._row["time_limit_seconds"]
        ran = self._ran_before + time.monotonic() - self._began
        self._timed_out = self._timed_out or bool(limit and ran > limit)
        return self._timed_out

    def _ending(self, status: int) -> Ending:
        progressed = self._feed.checkpointed
        completed = self._feed.result is not None and self._feed.result["outcome"] == Outcome.COMPLETED
        if self._timed_out and not completed:
            return self._timeout(progressed)
        if self._feed.result is not None:
            return ending_of_result(self._feed.result, progressed=progressed)
        by_kernel = status == -signal.SIGKILL and self._stop_asked_at is None and oom_kills() > self._oom_kills_before
        failure = classify_exit(status, killed_by_kernel=by_kernel)
        return Ending(Outcome.FAILED if by_kernel else Outcome.LOST, failure, progressed)

    def _timeout(self, progressed: bool = False) -> Ending:
        why = f"it ran longer than its {self._row['time_limit_seconds']:g} s"
        return Ending(Outcome.FAILED, Failure(FailureClass.TIMEOUT, why), progressed)

    def _finish(self, ending: Ending) -> Row | None:
        patience = Patience(self._settings.headway_max_lost_attempts)
        return finish_attempt(self._runtime.engine, self._runtime.signals, self._feed, ending, patience)

    def _until_available(self, call: Callable[[], T]) -> T:
        """Call until Postgres answers: it being away is no loss of the job."""
        while True:
            try:
                return call()
            except UnavailableError as error:
                self._log.warning("waiting for Postgres", reason=str(error))
                time.sleep(RETRY_SECONDS)
