"""The job aggregate in Postgres: read it, claim it, move its state. Every change counts the revision on its own row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, TextClause, bindparam, insert, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.domain.states import HELD, JobState, sources_of
from headway.storage import tables
from headway.storage.devices import LACK
from headway.storage.rows import Row, fetch, many, one

#: What a job shows; `waiting_for` names only what is not completed yet, and what a queued job needs that nobody has.
JOB_COLUMNS = f"""
    j.*, extract(epoch FROM now() - j.updated_at)::float8 AS data_age,
    (j.lease_expires_at < now()) AS lease_expired,
    ARRAY(SELECT d.needs_job_id FROM job_dependencies d WHERE d.job_id = j.id ORDER BY 1) AS depends_on,
    ARRAY(SELECT n.id FROM job_dependencies d JOIN jobs n ON n.id = d.needs_job_id
          WHERE d.job_id = j.id AND n.state <> 'completed' AND j.state = 'waiting' ORDER BY 1)
    || {LACK} AS waiting_for
"""

_GET = text(f"SELECT {JOB_COLUMNS} FROM jobs j WHERE j.id = :id")

_GET_MANY = text(f"SELECT {JOB_COLUMNS} FROM jobs j WHERE j.id = ANY(:ids) ORDER BY j.created_at, j.id")

_GET_BY_STUDY = text(
    f"SELECT {JOB_COLUMNS} FROM jobs j WHERE j.study_id = ANY(:studies) ORDER BY j.study_id, j.study_position"
)

_LIST = """
SELECT {columns} FROM jobs j
WHERE (CAST(:states AS text[]) IS NULL OR j.state = ANY(:states))
  AND (CAST(:kinds AS text[]) IS NULL OR j.kind = ANY(:kinds))
  AND (CAST(:tag AS text) IS NULL OR :tag = ANY(j.tags))
  AND (CAST(:q AS text) IS NULL OR j.name ILIKE :q OR j.id ILIKE :q OR j.kind ILIKE :q)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (j.created_at, j.id) < (:before_at, :before_id))
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit
"""
_LIST_JOBS = text(_LIST.format(columns=JOB_COLUMNS))

_ACTIVE = text(
    f"SELECT {JOB_COLUMNS} FROM jobs j "
    "WHERE j.state IN ('waiting', 'queued', 'running', 'pausing', 'paused', 'cancelling') "
    "OR j.finished_at > now() - interval '15 minutes' ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"
)


_STAMP_QUEUED = text("UPDATE jobs SET queued_at = now() WHERE id = ANY(:ids) AND state = 'queued'")

_WATCH = text("SELECT state, attempt, lease_owner FROM jobs WHERE id = :id")

_RENEW = text(
    "UPDATE jobs SET lease_expires_at = now() + make_interval(secs => :lease_seconds) "
    "WHERE id = :id AND attempt = :attempt AND lease_owner = :owner AND state = ANY(:held) RETURNING state"
)


_COUNT_LOGS = text("UPDATE jobs SET logs_count = logs_count + :lines WHERE id = :id RETURNING logs_count")


_STATE_COUNTS = text("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list of jobs is narrowed to; `before` is the (created_at, id) of the last row seen."""

    states: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    tag: str | None = None
    q: str | None = None
    before: tuple[datetime, str] | None = None
    limit: int = 50


def insert_jobs(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store new jobs."""
    connection.execute(insert(tables.jobs), [dict(row) for row in rows])
    connection.execute(_STAMP_QUEUED, {"ids": [row["id"] for row in rows]})


def insert_dependencies(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Store that the first job of each pair needs the second."""
    rows = [{"job_id": job, "needs_job_id": needed} for job, needed in dict.fromkeys(pairs)]
    if rows:
        connection.execute(insert(tables.job_dependencies), rows)


def get_job(connection: Connection, job_id: str) -> Row | None:
    """One job with what it depends on."""
    return next(iter(fetch(connection, _GET, {"id": job_id})), None)


def get_jobs(connection: Connection, job_ids: Iterable[str]) -> list[Row]:
    """These jobs, in the order of their making."""
    return many(connection.execute(_GET_MANY, {"ids": list(job_ids)}))


def list_jobs(connection: Connection, wanted: JobFilter) -> list[Row]:
    """Jobs, newest first, at most `limit`."""
    before_at, before_id = wanted.before or (None, None)
    like = None if not wanted.q else "%" + wanted.q.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    parameters = {
        "states": list(wanted.states) if wanted.states else None,
        "kinds": list(wanted.kinds) if wanted.kinds else None,
        "tag": wanted.tag,
        "q": like,
        "before_at": before_at,
        "before_id": before_id,
        "limit": wanted.limit,
    }
    return many(connection.execute(_LIST_JOBS, parameters))


def active_jobs(connection: Connection, limit: int = 200) -> list[Row]:
    """Jobs that are not over, and those that ended a short while ago."""
    return many(connection.execute(_ACTIVE, {"limit": limit}))


def jobs_of_studies(connection: Connection, study_ids: Sequence[str]) -> list[Row]:
    """The jobs of some studies, each study's in its order."""
    return many(connection.execute(_GET_BY_STUDY, {"studies": list(study_ids)}))


def watch(connection: Connection, job_id: str) -> Row | None:
    """State, attempt and lease owner: what a supervisor must know between drains."""
    return one(connection.execute(_WATCH, {"id": job_id}))


def renew_lease(connection: Connection, job_id: str, attempt: int, owner: str, lease_seconds: float) -> str | None:
    """Prolong the lease; the job's state, or None when the attempt no longer owns the job."""
    parameters = {"id": job_id, "attempt": attempt, "owner": owner, "lease_seconds": lease_seconds, "held": list(HELD)}
    return connection.scalar(_RENEW, parameters)


def update_owned(
    connection: Connection,
    job_id: str,
    attempt: int,
    owner: str,
    values: Mapping[str, Any],
    *,
    add_logs: int = 0,
    add_events: int = 0,
    lease_seconds: float,
) -> Row | None:
    """Write a held job's row as its owner, prolonging the lease; None when the attempt no longer owns it (fenced)."""
    parameters = {
        "id": job_id, "attempt": attempt, "owner": owner, "held": list(HELD), "add_logs": add_logs,
        "add_events": add_events, "lease_seconds": lease_seconds,
        **{name: _stored(name, value) for name, value in values.items()},
    }  # fmt: skip
    return next(iter(fetch(connection, _update_owned(tuple(values)), parameters)), None)


def _stored(name: str, value: Any) -> Any:
    return Jsonb(value) if name in _JSON_COLUMNS and value is not None else value


@cache
def _update_owned(names: tuple[str, ...]) -> TextClause:
    assignments = "".join(f", {name} = :{name}" for name in names)
    return text(f"""
        WITH j AS (
            UPDATE jobs SET revision = revision + 1, updated_at = now(), logs_count = logs_count + :add_logs,
                events_count = events_count + :add_events,
                lease_expires_at = now() + make_interval(secs => :lease_seconds){assignments}
            WHERE id = :id AND attempt = :attempt AND lease_owner = :owner AND state = ANY(:held) RETURNING *)
        SELECT {JOB_COLUMNS} FROM j""")


def move(
    connection: Connection,
    job_id: str,
    target: JobState,
    values: Mapping[str, Any] | None = None,
    *,
    attempt: int | None = None,
    sources: Iterable[JobState] | None = None,
    wait_seconds: float = 0.0,
) -> Row | None:
    """Move a job to `target` if it is in one of `sources` (by default: any state the move is legal from).

    `attempt` fences: a later attempt's job is left alone. One that is queued may be claimed after `wait_seconds`.
    Answers the job, or None when it did not move.
    """
    values = dict(values or {})
    assignments = "".join(f", {name} = :{name}" for name in values)
    stamps = _STAMPS.get(target, "")
    statement = text(f"""
        WITH j AS (
            UPDATE jobs SET state = :target, revision = revision + 1, updated_at = now(){stamps}{assignments}
            WHERE id = :id AND state = ANY(:sources) AND (CAST(:attempt AS int) IS NULL OR attempt = :attempt)
            RETURNING *){_FREE_DEVICES if target in _STAMPS else ""}
        SELECT {JOB_COLUMNS} FROM j""").bindparams(*_json_binds(values))
    parameters = {
        "id": job_id, "target": target, "wait_seconds": wait_seconds, "sources": list(sources or sources_of(target)),
        "attempt": attempt, **values,
    }  # fmt: skip
    return one(connection.execute(statement, parameters))


_OVER = ", finished_at = now(), lease_owner = NULL, lease_expires_at = NULL"
#: What goes with a move, by its target. One that is queued again (lost, given back, resumed) keeps its place.
_STAMPS: dict[JobState, str] = {
    JobState.QUEUED: (
        ", queued_at = coalesce(queued_at, now()), sent_at = NULL, lease_owner = NULL, lease_expires_at = NULL, "
        "not_before = CASE WHEN :wait_seconds > 0 THEN now() + make_interval(secs => :wait_seconds) END"
    ),
    JobState.PAUSED: ", lease_owner = NULL, lease_expires_at = NULL",
    JobState.COMPLETED: _OVER,
    JobState.FAILED: _OVER,
    JobState.CANCELLED: _OVER,
}
#: Every move that takes the lease of a job takes its GPUs too.
_FREE_DEVICES = ", freed AS (DELETE FROM device_leases USING j WHERE device_leases.job_id = j.id)"
_JSON_COLUMNS = frozenset(column.name for column in tables.jobs.columns if isinstance(column.type, JSONB))


def _json_binds(values: Mapping[str, Any]) -> list[Any]:
    return [bindparam(name, type_=JSONB(none_as_null=True)) for name in values if name in _JSON_COLUMNS]


def state_counts(connection: Connection) -> dict[str, int]:
    """How many jobs are in each state."""
    return {row.state: row.jobs for row in connection.execute(_STATE_COUNTS)}


def count_logs(connection: Connection, job_id: str, lines: int) -> int:
    """Reserve numbers for log lines of an attempt that no longer owns the job; answers the last one."""
    return int(connection.scalar(_COUNT_LOGS, {"id": job_id, "lines": lines}) or 0)
