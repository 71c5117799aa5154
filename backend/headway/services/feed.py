"""What a supervisor keeps in memory of the attempt it drains, and how spool events become domain events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.domain import eta
from headway.domain.plan import Counter, PhaseSpec
from headway.domain.progress import (
    CountersMoved,
    Event,
    MessageSaid,
    MetricsLogged,
    PhaseFinished,
    PhaseStarted,
    PlanSet,
    Snapshot,
    apply,
)
from headway.spool.reader import Batch
from headway.spool.reader import Event as SpoolEvent
from headway.spool.records import EventKind
from headway.storage.journal import HISTORY_POINTS, moment

#: Points of a full history left for phase changes, which are never thinned.
PHASE_CHANGES_ROOM = 100


@dataclass(slots=True)
class HistoryPace:
    """When the next point of progress history is due; the interval doubles each time the history is full."""

    interval_seconds: float = 1.0
    points: int = 0
    last_at: float = 0.0

    def due(self, at: float) -> bool:
        """Whether a point should be kept now."""
        return at - self.last_at >= self.interval_seconds

    def note(self, at: float) -> None:
        """A point was kept at `at`."""
        self.points, self.last_at = self.points + 1, at

    def full(self) -> bool:
        """Whether the history must be thinned now; the pace slows down with it."""
        if self.points < HISTORY_POINTS - PHASE_CHANGES_ROOM:
            return False
        self.points //= 2
        self.interval_seconds *= 2
        return True


@dataclass(slots=True)
class Feed:
    """One attempt's way into Postgres. Offsets move only with a commit."""

    job_id: str
    job_key: int
    attempt: int
    owner: str
    host: str
    family: str | None
    lease_seconds: float
    spool_offset: int = 0
    output_offset: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)
    forecaster: eta.Forecaster = field(default_factory=eta.Forecaster)
    metric_ids: dict[str, int] = field(default_factory=dict[str, int])
    history: HistoryPace = field(default_factory=HistoryPace)
    result: dict[str, Any] | None = None
    checkpointed: bool = False
    metrics_pushed_to: int = 0
    overhead: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain takes in: spool records, and lines the process printed up to `output_offset`."""

    batch: Batch
    lines: list[dict[str, Any]]
    output_offset: int

    def __bool__(self) -> bool:
        return bool(self.batch.records or self.lines)


def folded(feed: Feed, batch: Batch) -> tuple[Snapshot, eta.Forecaster]:
    """Snapshot and forecaster after the batch; the feed itself changes only once this is committed."""
    snapshot, forecaster = feed.snapshot, feed.forecaster
    for event in batch.events:
        change = domain_event(event.kind, event.at, event.data)
        if change is None:
            continue
        snapshot = apply(snapshot, change)
        forecaster = eta.observe(forecaster, snapshot, event.at)
    for latest in _latest_metrics(batch):
        snapshot = apply(snapshot, latest)
        forecaster = eta.observe(forecaster, snapshot, latest.at)
    return snapshot, forecaster


def domain_event(kind: EventKind, at: float, data: Mapping[str, Any]) -> Event | None:
    """What a spool event means for the progress; None for one that changes none of it."""
    change = _DOMAIN_EVENTS.get(kind)
    return change(at, data) if change else None


def _latest_metrics(batch: Batch) -> Iterable[MetricsLogged]:
    for group in batch.metrics:
        width = len(group.names)
        values = group.values[-width:] if width else ()
        yield MetricsLogged(group.times[-1], group.steps[-1], dict(zip(group.names, values, strict=True)))


def _plan_set(at: float, data: Mapping[str, Any]) -> Event:
    standing = tuple(_counters_moved(at, each) for each in data.get("standing", ()))
    return PlanSet(at, tuple(PhaseSpec(**phase) for phase in data["phases"]), standing)


def _counters_moved(at: float, data: Mapping[str, Any]) -> CountersMoved:
    return CountersMoved(at, data["phase"], tuple(Counter(**counter) for counter in data["counters"]))


def _phase_started(at: float, data: Mapping[str, Any]) -> Event:
    return PhaseStarted(at, data["name"])


def _phase_finished(at: float, data: Mapping[str, Any]) -> Event:
    return PhaseFinished(at, data["name"], bool(data.get("skipped")), bool(data.get("again")))


def _message_said(at: float, data: Mapping[str, Any]) -> Event:
    return MessageSaid(at, data["message"])


_DOMAIN_EVENTS: dict[EventKind, Callable[[float, Mapping[str, Any]], Event]] = {
    EventKind.PLAN: _plan_set,
    EventKind.PHASE_STARTED: _phase_started,
    EventKind.PHASE_FINISHED: _phase_finished,
    EventKind.COUNTERS: _counters_moved,
    EventKind.SAID: _message_said,
}


def log_lines(events: Iterable[SpoolEvent]) -> list[dict[str, Any]]:
    """The log lines among spool events, as `storage.journal` takes them."""
    return [
        {"at": moment(event.at), "level": str(event.data["level"]), "text": str(event.data["text"])}
        for event in events
        if event.kind is EventKind.LOG
    ]
