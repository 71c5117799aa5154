"""Fills the outbox with what happened to jobs, and delivers from it: signed, once an event, tried again with patience.

Each job's journal is read by its number from where it was read before, so that no late commit is missed. Silence and
thresholds are looked for in the jobs that run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from headway import __version__
from headway.domain.liveness import Liveness
from headway.domain.series import LAST_STEP
from headway.domain.states import JobState
from headway.domain.webhook import OF_JOURNAL, Network, WebhookEvent, signature, wait_before_retry
from headway.services.post_webhook import DeliveryError, post, reachable_target
from headway.services.views import iso, job_view
from headway.storage import journal, webhooks
from headway.storage import metrics as metric_store
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.rows import Row

JOBS_AT_ONCE = 200
EVENTS_AT_ONCE = 500
#: A webhook with so many deliveries to come hears of nothing more until some are delivered or given up.
MOST_PENDING = 5000
CLAIM_SECONDS = 60.0
_SILENT = frozenset({Liveness.STALLED, Liveness.LOST})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell; `key` names it for good."""

    event: WebhookEvent
    key: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to deliver: the private networks that may be reached, and the wait before the first retry."""

    allowed: Sequence[Network]
    first_retry_seconds: float


def fill_outbox(engine: Engine) -> None:
    """Put what happened since the last time into the outbox. Idempotent; of two at once one does it."""
    with transaction(engine) as connection:
        if not webhooks.try_lock(connection):
            return
        hooks = webhooks.list_webhooks(connection)
        for hook in hooks:
            if hook["pending"] >= MOST_PENDING:
                log.warning("a webhook misses events: too many wait for it", webhook_id=hook["id"])
        open_hooks = [hook for hook in hooks if hook["pending"] < MOST_PENDING]
        for job in webhooks.jobs_to_tell(connection, JOBS_AT_ONCE) if hooks else ():
            _tell_of(connection, job, [hook for hook in open_hooks if _concerns(hook, job)])
        webhooks.drop_old(connection)


def claim_deliveries(engine: Engine, busy: Sequence[str], limit: int) -> list[Row]:
    """Deliveries to attempt now, at most one of each webhook that is not `busy`."""
    with transaction(engine) as connection:
        return webhooks.claim_due(connection, busy, limit, CLAIM_SECONDS)


def deliver(engine: Engine, delivery: Row, manner: Manner) -> None:
    """Attempt one claimed delivery and note how it went."""
    status, error, final = None, None, False
    try:
        status = _send(delivery, manner)
        if not 200 <= status < 300:
            error = f"answered {status}" + (": redirects are not followed" if 300 <= status < 400 else "")
    except DeliveryError as failed:
        error, final = str(failed), failed.final
    wait = None if final else wait_before_retry(delivery["attempts"], manner.first_retry_seconds)
    state = "delivered" if error is None else "failed" if wait is None else "pending"
    with transaction(engine) as connection:
        webhooks.settle(connection, delivery["id"], state, status, error, wait or 0.0)
    if error is not None:
        log.warning("webhook not delivered", webhook_id=delivery["webhook_id"], error=error, given_up=wait is None)


def _send(delivery: Row, manner: Manner) -> int:
    target = reachable_target(delivery["url"], manner.allowed)
    body = json.dumps(delivery["payload"] | {"id": delivery["id"]}, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Headway/{__version__}",
        "X-Headway-Event": delivery["event"],
        "X-Headway-Delivery": delivery["id"],
        "X-Headway-Signature": signature(delivery["secret"], int(time.time()), body),
    }
    return post(target, body, headers)


def _concerns(hook: Row, job: Row) -> bool:
    return hook["job_id"] in (None, job["id"]) and hook["kind"] in (None, job["kind"])


def _tell_of(connection: Connection, job: Row, hooks: Sequence[Row]) -> None:
    view = job_view(job)
    silent = view.liveness in _SILENT
    seen = job["events_seen"]
    events = journal.read_events(connection, job["id"], seen, EVENTS_AT_ONCE) if job["events_count"] > seen else []
    happenings = list(_of_journal(job, events))
    if silent and not job["stalled"]:
        happenings.append(_stalled(job, view.data_age_seconds, str(view.liveness)))
    shown: dict[str, Any] = view.model_dump(mode="json", by_alias=True) if hooks else {}
    for hook in hooks:
        crossing = _crossing(connection, hook, job) if hook["threshold"] else None
        for happening in [*happenings, *([crossing] if crossing else [])]:
            if happening.event in hook["events"]:
                webhooks.put(connection, _delivery(hook, job, happening, shown))
    if events or silent != job["stalled"]:
        webhooks.move_cursor(connection, job["id"], events[-1]["no"] if events else seen, stalled=silent)


def _delivery(hook: Row, job: Row, happening: Happening, shown: dict[str, Any]) -> dict[str, Any]:
    payload = {"event": happening.event, "at": iso(happening.at), "data": happening.data, "job": shown}
    return {
        "id": new_id(),
        "webhook_id": hook["id"],
        "job_id": job["id"],
        "event": happening.event,
        "key": f"{job['id']}:{happening.key}",
        "payload": payload,
    }


def _of_journal(job: Row, events: Sequence[Row]) -> Iterator[Happening]:
    for event in events:
        told = OF_JOURNAL.get(event["type"])
        if told == "phase.changed":
            yield Happening(told, str(event["no"]), event["at"], {"phase": event["data"]["name"]})
        elif told is not None:
            error = job["error"] if JobState(job["state"]) is JobState.FAILED else None
            yield Happening(told, str(event["no"]), event["at"], {"error": error} if error else {})


def _stalled(job: Row, age: float, liveness: str) -> Happening:
    data = {"liveness": liveness, "data_age_seconds": age}
    return Happening("job.stalled", f"stalled:{job['revision']}", datetime.now(UTC), data)


def _crossing(connection: Connection, hook: Row, job: Row) -> Happening | None:
    """The first time the metric crosses the threshold, looked for in what came since the last look."""
    threshold = hook["threshold"]
    metric = metric_store.names_of_job(connection, job["key"]).get(threshold["metric"])
    watch = webhooks.watch_of(connection, hook["id"], job["id"])
    if metric is None or (watch and watch["crossed"]):
        return None
    looked_at, step = (watch["attempt"], watch["step"]) if watch else (1, -LAST_STEP)
    for attempt in range(looked_at, job["attempt"] + 1):
        after = step if attempt == looked_at else -LAST_STEP
        last = webhooks.last_step(connection, job["key"], metric, attempt, after)
        if last is None:
            continue
        found = webhooks.first_crossing(connection, job["key"], metric, attempt, after, threshold)
        webhooks.move_watch(connection, hook["id"], job["id"], attempt=attempt, step=last, crossed=found is not None)
        if found:
            data = {"metric": threshold["metric"], "step": found["step"], "value": found["value"], **_limits(threshold)}
            return Happening("metric.threshold", "threshold", datetime.now(UTC), data)
    return None


def _limits(threshold: dict[str, Any]) -> dict[str, float | None]:
    return {"above": threshold["above"], "below": threshold["below"]}
