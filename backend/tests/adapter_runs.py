"""Runs a piece of work with a JobContext as a kind's `run` would, and answers how its progress went."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.domain.plan import PhaseSpec
from headway.domain.progress import AttemptEnded, Snapshot, apply
from headway.errors import JobStopped
from headway.jobs.checkpoints import newest_valid
from headway.jobs.context import JobContext
from headway.jobs.order import JobOrder
from headway.jobs.reporter import Reporter
from headway.services.feed import domain_event
from headway.spool.control import Control
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from tests.kind_runs import Ran, read_back

Counts = list[tuple[str, float, float | None]]


@dataclass
class Job:
    """A job made for one test: its context, and how to ask it to stop."""

    context: JobContext
    reporter: Reporter
    control: Control
    folder: Path

    def sample(self) -> None:
        """Record the counters now, as the sampler does ten times a second: a tiny training is over before it comes."""
        with self.reporter._lock:
            self.reporter._flush_counters()

    def run(self, work: Callable[[JobContext], None]) -> Ran:
        """Do the work to its end, in whatever way it ends, and read back what it told."""
        try:
            work(self.context)
            outcome = "completed"
        except JobStopped as stop:
            outcome = str(stop)
        finally:
            self.reporter.close()
        return read_back(Ran({"outcome": outcome}, self.folder, {}))


def make_job(folder: Path, *phases: str, resume_from: Iterable[Path] = ()) -> Job:
    """A job of these phases (weights even) in a folder that is made."""
    folder.mkdir(parents=True)
    specs = [PhaseSpec(name, name.capitalize()) for name in phases]
    order = JobOrder(
        job_id="t" * 12, attempt=1, kind="t", config={}, phases=specs, resume_from=[str(path) for path in resume_from]
    )
    reporter = Reporter(SpoolWriter(folder / "spool", quota_bytes=64 << 20))
    plan = [{"name": spec.name, "title": spec.title, "weight": 1.0, "optional": False} for spec in specs]
    reporter.event(EventKind.PLAN, {"phases": plan})
    control = Control.create(folder / "control")
    resume = newest_valid(map(Path, order.resume_from))
    return Job(JobContext(folder, order, reporter, control, resume), reporter, control, folder)


def checkpoints(ran: Ran) -> list[Path]:
    """The checkpoints that stand, newest first."""
    return sorted((ran.folder / "checkpoints").glob("step-*"), reverse=True)


def last_counts(ran: Ran, phase: str) -> Counts:
    """The counters of a phase as last told."""
    told = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == phase]
    return [(counter["unit"], counter["current"], counter["total"]) for counter in told[-1]]


def totals(ran: Ran, phase: str) -> dict[str, Any]:
    """The total of each unit that a phase ever counted; a test wants it to be one."""
    found: dict[str, Any] = {}
    for data in ran.of(EventKind.COUNTERS):
        for counter in data["counters"] if data["phase"] == phase else []:
            assert found.setdefault(counter["unit"], counter["total"]) == counter["total"], counter
    return found


def snapshots(ran: Ran) -> list[Snapshot]:
    """The progress after each event, as a supervisor folds it."""
    snapshot, folded = Snapshot(), []
    for kind, data in ran.events:
        if change := domain_event(kind, 0.0, data):
            snapshot = apply(snapshot, change)
            folded.append(snapshot)
    return [*folded, apply(snapshot, AttemptEnded(0.0, completed=ran.result["outcome"] == "completed"))]
