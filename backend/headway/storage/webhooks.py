"""Webhooks in Postgres: who wants to hear what, up to where each job was told, and the outbox that is also the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage import tables
from headway.storage.jobs import JOB_COLUMNS
from headway.storage.rows import Row, many, one

DELIVERIES_KEPT_DAYS = 30
_LOCK = 0x7765_6268  # one filler of the outbox at a time

_ALL = text("""
SELECT w.*, (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending') AS pending
FROM webhooks w ORDER BY w.created_at DESC, w.id
""")
_DELETE = text("DELETE FROM webhooks WHERE id = :id")
_EXISTS = text("SELECT 1 FROM webhooks WHERE id = :id")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_WAIT_LOCK = text("SELECT pg_advisory_xact_lock(:lock)")
# what happened before anybody wanted to hear of it is not told
_BEGIN = text("""
INSERT INTO webhook_cursors (job_id, events_seen) SELECT id, events_count FROM jobs
WHERE NOT EXISTS (SELECT 1 FROM webhooks) AND (state NOT IN ('completed', 'failed', 'cancelled')
                                               OR updated_at > now() - interval '1 day')
ON CONFLICT (job_id) DO UPDATE SET events_seen = excluded.events_seen, stalled = false
""")
# held jobs are looked at for silence and thresholds; the others when their journal grew
_TO_TELL = text(f"""
SELECT {JOB_COLUMNS}, coalesce(c.events_seen, 0) AS events_seen, coalesce(c.stalled, false) AS stalled
FROM jobs j LEFT JOIN webhook_cursors c ON c.job_id = j.id
WHERE (j.state IN ('running', 'pausing', 'cancelling')
       OR (j.state IN ('waiting', 'queued', 'paused') AND j.events_count > coalesce(c.events_seen, 0))
       OR (j.state IN ('completed', 'failed', 'cancelled') AND j.updated_at > now() - interval '1 day'
           AND j.events_count > coalesce(c.events_seen, 0)))
ORDER BY j.updated_at LIMIT :limit
""")
_MOVE_CURSOR = text("""
INSERT INTO webhook_cursors (job_id, events_seen, stalled) VALUES (:job_id, :events_seen, :stalled)
ON CONFLICT (job_id) DO UPDATE SET events_seen = excluded.events_seen, stalled = excluded.stalled
""")
_WATCH = text("SELECT attempt, step, crossed FROM webhook_watches WHERE webhook_id = :webhook_id AND job_id = :job_id")
_MOVE_WATCH = text("""
INSERT INTO webhook_watches (webhook_id, job_id, attempt, step, crossed)
VALUES (:webhook_id, :job_id, :attempt, :step, :crossed)
ON CONFLICT (webhook_id, job_id) DO UPDATE
SET attempt = excluded.attempt, step = excluded.step, crossed = excluded.crossed
""")
_LAST_STEP = text(
    "SELECT max(step) FROM training_metrics WHERE job = :job AND metric = :metric AND attempt = :attempt "
    "AND step > :after"
)
_CROSSING = text("""
SELECT step, value, nonfinite FROM training_metrics
WHERE job = :job AND metric = :metric AND attempt = :attempt AND step > :after
  AND (value > CAST(:above AS float8) OR value < CAST(:below AS float8)
       OR (nonfinite = 2 AND CAST(:above AS float8) IS NOT NULL)
       OR (nonfinite = 3 AND CAST(:below AS float8) IS NOT NULL))
ORDER BY step LIMIT 1
""")
_PUT = text("""
INSERT INTO webhook_deliveries (id, webhook_id, job_id, event, key, payload)
VALUES (:id, :webhook_id, :job_id, :event, :key, :payload) ON CONFLICT (webhook_id, key) DO NOTHING
""").bindparams(bindparam("payload", type_=JSONB))
# the oldest one that is due of each webhook that is not busy; who claims it has `lease_seconds` to deliver it
_CLAIM = text("""
UPDATE webhook_deliveries d
SET attempts = d.attempts + 1, next_attempt_at = now() + make_interval(secs => :lease_seconds)
FROM webhooks w
WHERE w.id = d.webhook_id AND d.state = 'pending' AND d.next_attempt_at <= now() AND d.id IN (
    SELECT DISTINCT ON (webhook_id) id FROM webhook_deliveries
    WHERE state = 'pending' AND next_attempt_at <= now() AND NOT webhook_id = ANY(:busy)
    ORDER BY webhook_id, created_at, id LIMIT :limit)
RETURNING d.id, d.webhook_id, d.event, d.payload, d.attempts, w.url, w.secret
""")
_SETTLE = text("""
UPDATE webhook_deliveries
SET state = :state, status = :status, error = :error,
    next_attempt_at = now() + make_interval(secs => :wait_seconds),
    delivered_at = CASE WHEN :state = 'delivered' THEN now() END
WHERE id = :id AND state = 'pending'
""")
_LOG = text(
    "SELECT id, job_id, event, state, attempts, status, error, created_at, delivered_at, "
    "CASE WHEN state = 'pending' THEN next_attempt_at END AS next_attempt_at FROM webhook_deliveries "
    "WHERE webhook_id = :webhook_id ORDER BY created_at DESC, id DESC LIMIT :limit"
)
_DROP_OLD = text("DELETE FROM webhook_deliveries WHERE created_at < now() - make_interval(days => :days)")


def add_webhook(connection: Connection, row: Mapping[str, Any]) -> Row:
    """Store a webhook; the first one begins to hear of jobs as they stand now."""
    connection.execute(_WAIT_LOCK, {"lock": _LOCK})
    connection.execute(_BEGIN)
    return many(connection.execute(insert(tables.webhooks).returning(tables.webhooks), dict(row)))[0]


def list_webhooks(connection: Connection) -> list[Row]:
    """Every webhook, newest first, with how many deliveries are `pending`."""
    return many(connection.execute(_ALL))


def delete_webhook(connection: Connection, webhook_id: str) -> bool:
    """Forget a webhook and its deliveries; whether there was one."""
    return connection.execute(_DELETE, {"id": webhook_id}).rowcount > 0


def has_webhook(connection: Connection, webhook_id: str) -> bool:
    """Whether there is such a webhook."""
    return connection.scalar(_EXISTS, {"id": webhook_id}) is not None


def try_lock(connection: Connection) -> bool:
    """Whether this transaction alone fills the outbox."""
    return bool(connection.scalar(_TRY_LOCK, {"lock": _LOCK}))


def jobs_to_tell(connection: Connection, limit: int) -> list[Row]:
    """Jobs that run, and those whose journal has news, with `events_seen` and `stalled` of their cursor."""
    return many(connection.execute(_TO_TELL, {"limit": limit}))


def move_cursor(connection: Connection, job_id: str, events_seen: int, *, stalled: bool) -> None:
    """Note up to where a job was told."""
    connection.execute(_MOVE_CURSOR, {"job_id": job_id, "events_seen": events_seen, "stalled": stalled})


def watch_of(connection: Connection, webhook_id: str, job_id: str) -> Row | None:
    """Up to where a threshold was looked for in a job's metric."""
    return one(connection.execute(_WATCH, {"webhook_id": webhook_id, "job_id": job_id}))


def move_watch(connection: Connection, webhook_id: str, job_id: str, *, attempt: int, step: int, crossed: bool) -> None:
    """Note up to where a threshold was looked for."""
    values = {"webhook_id": webhook_id, "job_id": job_id, "attempt": attempt, "step": step, "crossed": crossed}
    connection.execute(_MOVE_WATCH, values)


def last_step(connection: Connection, job_key: int, metric: int, attempt: int, after: int) -> int | None:
    """The last step beyond `after` that an attempt logged of a metric."""
    return connection.scalar(_LAST_STEP, {"job": job_key, "metric": metric, "attempt": attempt, "after": after})


def first_crossing(
    connection: Connection, job_key: int, metric: int, attempt: int, after: int, threshold: Mapping[str, Any]
) -> Row | None:
    """The first point beyond step `after` that lies above or below what the threshold allows."""
    parameters = {"job": job_key, "metric": metric, "attempt": attempt, "after": after}
    limits = {"above": threshold["above"], "below": threshold["below"]}
    return one(connection.execute(_CROSSING, parameters | limits))


def put(connection: Connection, delivery: Mapping[str, Any]) -> None:
    """Put a delivery into the outbox, once for each webhook and key."""
    connection.execute(_PUT, dict(delivery))


def claim_due(connection: Connection, busy: Sequence[str], limit: int, lease_seconds: float) -> list[Row]:
    """Deliveries to attempt now, at most one of each webhook that is not `busy`; unsettled ones come again later."""
    parameters = {"busy": list(busy), "limit": limit, "lease_seconds": lease_seconds}
    return many(connection.execute(_CLAIM, parameters))


def settle(
    connection: Connection, delivery_id: str, state: str, status: int | None, error: str | None, wait_seconds: float
) -> None:
    """Note how an attempt went."""
    values = {"id": delivery_id, "state": state, "status": status, "error": error, "wait_seconds": wait_seconds}
    connection.execute(_SETTLE, values)


def deliveries_of(connection: Connection, webhook_id: str, limit: int) -> list[Row]:
    """The log of a webhook, newest first."""
    return many(connection.execute(_LOG, {"webhook_id": webhook_id, "limit": limit}))


def drop_old(connection: Connection) -> None:
    """Forget deliveries older than DELIVERIES_KEPT_DAYS."""
    connection.execute(_DROP_OLD, {"days": DELIVERIES_KEPT_DAYS})
