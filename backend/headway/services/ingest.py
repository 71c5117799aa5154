"""One drain, one transaction: metrics by COPY, the snapshot, the journal, the offsets and the lease, all or nothing.

The offsets move by compare-and-set, so each record arrives exactly once. The job's row is written only by the attempt
that owns it; what a superseded attempt still brings joins its own layer (metrics and logs) and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from headway.domain import eta
from headway.domain.progress import Snapshot, apply
from headway.realtime.channels import Message
from headway.services.feed import Drained, Feed, domain_event, folded, log_lines
from headway.services.progress_json import progress_json
from headway.services.pushes import drain_messages
from headway.services.sum_metrics import PhaseEntry, sums_of
from headway.spool.reader import Batch
from headway.spool.reader import Event as SpoolEvent
from headway.spool.records import EventKind
from headway.storage import artifacts as artifact_store
from headway.storage import attempts as attempt_store
from headway.storage import jobs as job_store
from headway.storage import journal, metric_sums, run_history
from headway.storage import metrics as metric_store
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.rows import Row


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a drain did. `row` is the job as committed, None when a later attempt owns it (fenced)."""

    row: Row | None
    messages: Sequence[Message] = ()


def ingest(engine: Engine, feed: Feed, drained: Drained) -> Ingested:
    """Commit one drain and move the feed on. Raises UnavailableError with nothing changed: call it again then."""
    snapshot, forecaster = folded(feed, drained.batch)
    lines = log_lines(drained.batch.events) + drained.lines
    with transaction(engine) as connection:
        row = _write_job(connection, feed, drained.batch, snapshot, forecaster, len(lines))
        received_at = _move_offsets(connection, feed, drained)
        if received_at is None:
            connection.rollback()
            return _already_taken(engine, feed, drained)
        last_log = row["logs_count"] if row else job_store.count_logs(connection, feed.job_id, len(lines))
        journal.add_logs(connection, feed.job_id, feed.attempt, last_log, lines)
        new_ids = _write_metrics(connection, feed, drained.batch, received_at)
        checkpoints = _checkpoint_rows(feed, drained.batch.events) if row else []
        if row:
            _write_owned(connection, feed, drained.batch.events, checkpoints)
            _write_history(connection, feed, row, snapshot)
    messages = drain_messages(feed, row, drained, lines, last_log, checkpoints) if row else []
    _advance(feed, drained, snapshot, forecaster, new_ids)
    return Ingested(row, messages)


def _write_job(
    connection: Connection, feed: Feed, batch: Batch, snapshot: Snapshot, forecaster: eta.Forecaster, lines: int
) -> Row | None:
    forecast = eta.estimate(forecaster, snapshot, snapshot.updated_at or time.time())
    overhead = next((e.data for e in reversed(batch.events) if e.kind is EventKind.OVERHEAD), feed.overhead)
    values: dict[str, Any] = {
        "progress": progress_json(snapshot, forecast) | {"overhead": overhead},
        "percent_bp": snapshot.percent_bp,
    }
    if not snapshot.phases:
        # nothing said yet: keep showing what an earlier attempt or the plan showed
        values = {}
    return job_store.update_owned(
        connection,
        feed.job_id,
        feed.attempt,
        feed.owner,
        values,
        add_logs=lines,
        add_events=len(_journal_events(batch.events)),
        lease_seconds=feed.lease_seconds,
    )


def _move_offsets(connection: Connection, feed: Feed, drained: Drained) -> datetime | None:
    return attempt_store.move_offsets(
        connection,
        feed.job_id,
        feed.attempt,
        spool=(feed.spool_offset, drained.batch.end_offset),
        output=(feed.output_offset, drained.output_offset),
    )


def _already_taken(engine: Engine, feed: Feed, drained: Drained) -> Ingested:
    """The offsets were not where the feed stood: a commit whose answer was lost, or another drained them."""
    with transaction(engine) as connection:
        row = job_store.get_job(connection, feed.job_id)
        attempt = attempt_store.get_attempt(connection, feed.job_id, feed.attempt)
    ours = attempt is not None and attempt["spool_offset"] == drained.batch.end_offset
    if not ours or row is None or row["lease_owner"] != feed.owner:
        return Ingested(None)
    snapshot, forecaster = folded(feed, drained.batch)
    _advance(feed, drained, snapshot, forecaster, {})
    return Ingested(row)


def _write_metrics(connection: Connection, feed: Feed, batch: Batch, received_at: datetime) -> dict[str, int]:
    if not batch.metrics:
        return {}
    names = dict.fromkeys(name for group in batch.metrics for name in group.names)
    new = [name for name in names if name not in feed.metric_ids]
    new_ids = metric_store.metric_ids(connection, new) if new else {}
    if new_ids:
        metric_store.note_job_metrics(connection, feed.job_key, feed.attempt, new_ids.values())
    metric_store.append(
        connection,
        job_key=feed.job_key,
        attempt=feed.attempt,
        rows=batch.metrics,
        ids=feed.metric_ids | new_ids,
        received_at=received_at,
    )
    sums = sums_of(batch.metrics, feed.metric_ids | new_ids, _phases_entered(connection, feed, batch))
    metric_sums.add(connection, feed.job_key, feed.attempt, sums)
    return new_ids


def _phases_entered(connection: Connection, feed: Feed, batch: Batch) -> list[PhaseEntry]:
    """The phase that ran when the batch began, then those entered in it."""
    snapshot = feed.snapshot
    phase = snapshot.phase
    if phase is None and feed.spool_offset:
        # what a worker that died had not drained yet: its snapshot died with it
        phase = run_history.last_phase(connection, feed.job_id, feed.attempt)
    entries: list[PhaseEntry] = [(0.0, phase or "")]
    for event in batch.events:
        change = domain_event(event.kind, event.at, event.data) if event.kind in _OF_PHASES else None
        if change:
            snapshot = apply(snapshot, change)
            entries.append((event.at, snapshot.phase or ""))
    return entries


def _write_owned(
    connection: Connection, feed: Feed, events: Sequence[SpoolEvent], checkpoints: Sequence[dict[str, Any]]
) -> None:
    journal_events = _journal_events(events)
    if journal_events:
        row = job_store.get_job(connection, feed.job_id)
        journal.add_events(connection, feed.job_id, row["events_count"] if row else 0, journal_events)
    journal.add_checkpoints(connection, checkpoints)
    for event in events:
        if event.kind is EventKind.CHECKPOINT:
            journal.drop_checkpoints(connection, feed.job_id, feed.attempt, event.data.get("removed", []))
        elif event.kind is EventKind.ARTIFACT:
            artifact_store.declare(
                connection,
                feed.job_id,
                event.data["output"],
                host=feed.host,
                path=event.data["path"],
                size=event.data["bytes"],
                meta=event.data["meta"],
            )


_OF_PHASES = frozenset({EventKind.PLAN, EventKind.PHASE_STARTED, EventKind.PHASE_FINISHED})
_JOURNALLED = {
    EventKind.PHASE_STARTED: "phase.started",
    EventKind.PHASE_FINISHED: "phase.finished",
    EventKind.CHECKPOINT: "checkpoint.created",
    EventKind.ARTIFACT: "artifact.declared",
}


def _journal_events(events: Sequence[SpoolEvent]) -> list[dict[str, Any]]:
    return [
        {"type": _JOURNALLED[event.kind], "data": event.data, "at": journal.moment(event.at)}
        for event in events
        if event.kind in _JOURNALLED
    ]


def _checkpoint_rows(feed: Feed, events: Sequence[SpoolEvent]) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(),
            "job_id": feed.job_id,
            "attempt": feed.attempt,
            "step": event.data["step"],
            "host": feed.host,
            "path": event.data["path"],
            "bytes": event.data["bytes"],
            "best": event.data["best"],
            "metrics": event.data["metrics"],
            "created_at": journal.moment(event.at),
        }
        for event in events
        if event.kind is EventKind.CHECKPOINT
    ]


def _write_history(connection: Connection, feed: Feed, row: Row, snapshot: Snapshot) -> None:
    at = snapshot.updated_at
    phase_changed = snapshot.phase != feed.snapshot.phase
    if at is None or snapshot.phase is None or not (phase_changed or feed.history.due(at)):
        return
    progress = row["progress"]
    journal.add_history(
        connection,
        {
            "job_id": feed.job_id,
            "revision": row["revision"],
            "attempt": feed.attempt,
            "at": journal.moment(at),
            "percent_bp": row["percent_bp"],
            "phase": snapshot.phase,
            "phase_changed": phase_changed,
            "step": snapshot.step,
            "rate": progress.get("rate"),
            "eta_seconds": (progress.get("eta") or [None])[0],
        },
    )
    feed.history.note(at)
    if feed.history.full():
        journal.thin_history(connection, feed.job_id)


def _advance(
    feed: Feed, drained: Drained, snapshot: Snapshot, forecaster: eta.Forecaster, new_ids: dict[str, int]
) -> None:
    feed.snapshot, feed.forecaster = snapshot, forecaster
    feed.spool_offset, feed.output_offset = drained.batch.end_offset, drained.output_offset
    feed.metric_ids |= new_ids
    if drained.batch.metrics:
        feed.metrics_pushed_to = drained.batch.end_offset
    for event in drained.batch.events:
        if event.kind is EventKind.RESULT:
            feed.result = event.data
        elif event.kind is EventKind.CHECKPOINT:
            feed.checkpointed = True
        elif event.kind is EventKind.OVERHEAD:
            feed.overhead = event.data
