"""What hosts and jobs used, sample by sample; finer samples are rolled up into coarser ones, and each kind ends.

Rule for hosts: as sampled for an hour, by minute for a day, by quarter of an hour for 30 days; a bin holds the mean and
the greatest value of each gauge. Rule for jobs: at most MOST_JOB_SAMPLES; when there are more, all of a job's samples
are merged into half as many bins of its time, so what is long past gets coarser and the newest stay as sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many, one

RAW = 0
MOST_JOB_SAMPLES = 1800
#: A bin is closed so long after its end: until then a sample of it may still be on its way to be committed.
SETTLED_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Level:
    """Samples in bins of `seconds` (RAW: as sampled), kept for `kept_seconds`; made of those `made_of`."""

    seconds: int
    kept_seconds: int
    made_of: int | None = None


LEVELS = (
    Level(RAW, kept_seconds=3600 + 60),
    Level(60, kept_seconds=86_400 + 900, made_of=RAW),
    Level(900, kept_seconds=30 * 86_400, made_of=60),
)

_CLAIM = text("""
UPDATE hosts SET sampler = :worker, sampler_until = now() + make_interval(secs => :lease_seconds)
WHERE name = :host AND (sampler = :worker OR sampler IS NULL OR sampler_until < now()) RETURNING true
""")
_HOLD = text("""
UPDATE hosts SET sampler_until = now() + make_interval(secs => :lease_seconds), gpu_report = :gpu_report
WHERE name = :host AND sampler = :worker
RETURNING now() AS at, (SELECT count(*) FROM hosts) = 1 AS alone
""").bindparams(bindparam("gpu_report", type_=JSONB))
_RELEASE = text("UPDATE hosts SET sampler = NULL, sampler_until = NULL WHERE sampler = :worker")
_ADD_HOST_SAMPLE = text(
    "INSERT INTO host_samples (host, seconds, at, gauges) VALUES (:host, 0, now(), :gauges)"
).bindparams(bindparam("gauges", type_=JSONB))
_RUNNING = text("""
SELECT j.id AS job_id, j.attempt, a.process_group AS leader, jsonb_array_length(a.gpus) AS gpus
FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.number = j.attempt
WHERE j.lease_owner = :worker AND j.state IN ('running', 'pausing', 'cancelling') AND a.process_group IS NOT NULL
""")
_ADD_JOB_SAMPLE = text("""
INSERT INTO job_samples (job_id, at, attempt, host, cpu_cores, memory_bytes, read_bytes_per_second,
    written_bytes_per_second, gpu_percent, gpu_memory_bytes, processes, estimated)
VALUES (:job_id, now(), :attempt, :host, :cpu_cores, :memory_bytes, :read_bytes_per_second,
    :written_bytes_per_second, :gpu_percent, :gpu_memory_bytes, :processes, :estimated)
""")
# beside the progress: it moves no revision, and a superseded attempt's use is nobody's
_NOTE_USED = text("""
UPDATE jobs SET used = CAST(:used AS jsonb) || jsonb_build_object('host', CAST(:host AS text), 'at',
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
WHERE id = :job_id AND attempt = :attempt AND lease_owner = :worker
    AND state IN ('running', 'pausing', 'cancelling')
RETURNING revision, used
""").bindparams(bindparam("used", type_=JSONB))
_ROLL_UP = text("""
INSERT INTO host_samples (host, seconds, at, gauges, peaks)
SELECT host, :seconds, bin, jsonb_object_agg(gauge, round(mean::numeric, 2)), jsonb_object_agg(gauge, peak)
FROM (
    SELECT s.host, date_bin(make_interval(secs => :seconds), s.at, 'epoch') AS bin, v.key AS gauge,
           avg(v.value::float8) AS mean, max(coalesce(s.peaks ->> v.key, v.value)::float8) AS peak
    FROM hosts h
    CROSS JOIN LATERAL (SELECT max(d.at) AS at FROM host_samples d
                        WHERE d.host = h.name AND d.seconds = :seconds) AS done
    JOIN host_samples s ON s.host = h.name AND s.seconds = :made_of
        AND s.at >= coalesce(done.at + make_interval(secs => :seconds), '-infinity')
        AND s.at < date_bin(make_interval(secs => :seconds), now() - make_interval(secs => :settled), 'epoch')
    CROSS JOIN LATERAL jsonb_each_text(s.gauges) AS v
    GROUP BY 1, 2, 3) AS means
GROUP BY host, bin ON CONFLICT DO NOTHING
""")
_FORGET = text("""
DELETE FROM host_samples s USING hosts h
WHERE s.host = h.name AND s.seconds = :seconds AND s.at < now() - make_interval(secs => :kept_seconds)
""")
_LONG_JOBS = text("""
SELECT j.id FROM jobs j
WHERE j.state IN ('running', 'pausing', 'cancelling')
  AND (SELECT count(*) FROM job_samples s WHERE s.job_id = j.id) > :most
""")
_MERGE = text("""
WITH span AS (
    SELECT min(at) AS began, (max(at) - min(at)) / (CAST(:bins AS int) - 1) AS width FROM job_samples
    WHERE job_id = :job_id),
gone AS (DELETE FROM job_samples WHERE job_id = :job_id RETURNING *)
INSERT INTO job_samples (job_id, at, attempt, host, cpu_cores, memory_bytes, read_bytes_per_second,
    written_bytes_per_second, gpu_percent, gpu_memory_bytes, processes, estimated, merged)
SELECT job_id, min(at), attempt, host, sum(cpu_cores * merged) / sum(merged), max(memory_bytes),
       sum(read_bytes_per_second * merged) / sum(merged), sum(written_bytes_per_second * merged) / sum(merged),
       sum(gpu_percent * merged) / sum(merged), max(gpu_memory_bytes), max(processes), bool_or(estimated), sum(merged)
FROM gone, span GROUP BY job_id, attempt, host, date_bin(width, at, began)
""")
_CURRENT = text("""
SELECT h.name AS host, s.at, extract(epoch FROM now() - s.at)::float8 AS age_seconds, s.gauges, h.gpu_report
FROM hosts h
CROSS JOIN LATERAL (SELECT at, gauges FROM host_samples WHERE host = h.name AND seconds = 0
                    ORDER BY at DESC LIMIT 1) AS s
WHERE CAST(:host AS text) IS NULL OR h.name = :host ORDER BY h.name
""")
_HOST_NAMES = text("SELECT name FROM hosts WHERE CAST(:host AS text) IS NULL OR name = :host ORDER BY name")
# one JSON text of all: decoding row by row took longer than all the rest of the answer
_HISTORY = text("""
SELECT coalesce(json_agg(json_build_array(extract(epoch FROM at)::float8, gauges, peaks) ORDER BY at), '[]')::text
FROM host_samples WHERE host = :host AND seconds = :seconds AND at BETWEEN :since AND :until
""")
_JOB_SAMPLES = text("""
SELECT extract(epoch FROM at)::float8 AS at, attempt, host, cpu_cores, memory_bytes, read_bytes_per_second,
       written_bytes_per_second, gpu_percent, gpu_memory_bytes, processes, estimated
FROM job_samples WHERE job_id = :job_id AND at BETWEEN coalesce(:since, '-infinity'::timestamptz)
    AND coalesce(:until, 'infinity'::timestamptz) ORDER BY job_samples.at
""")

_ATTEMPT_SPANS = text("""
SELECT number AS attempt, host, started_at, ended_at FROM attempts WHERE job_id = :job_id ORDER BY number
""")


def claim_host(connection: Connection, host: str, worker: str, lease_seconds: float) -> bool:
    """Whether this worker is the one that measures the host; it stays so while it goes on."""
    parameters = {"host": host, "worker": worker, "lease_seconds": lease_seconds}
    return bool(connection.scalar(_CLAIM, parameters))


def release_host(connection: Connection, worker: str) -> None:
    """Let another worker measure."""
    connection.execute(_RELEASE, {"worker": worker})


def add_host_sample(
    connection: Connection,
    host: str,
    worker: str,
    lease_seconds: float,
    gauges: Mapping[str, float],
    gpu_report: Mapping[str, Any],
) -> Row | None:
    """Store a sample of now: {at, alone: no other host is known}; None when another worker measures this host."""
    held = {"host": host, "worker": worker, "lease_seconds": lease_seconds, "gpu_report": dict(gpu_report)}
    row = one(connection.execute(_HOLD, held))
    if row is not None:
        connection.execute(_ADD_HOST_SAMPLE, {"host": host, "gauges": dict(gauges)})
    return row


def running_jobs(connection: Connection, worker: str) -> list[Row]:
    """{job_id, attempt, leader, gpus} of what the worker runs."""
    return many(connection.execute(_RUNNING, {"worker": worker}))


def add_job_sample(connection: Connection, worker: str, host: str, use: Mapping[str, Any]) -> Row | None:
    """Store what a job used: {revision, used: with host and time}; None when the worker no longer runs that attempt."""
    used = {name: value for name, value in use.items() if name != "job_id"}
    key = {"job_id": use["job_id"], "attempt": use["attempt"]}
    row = one(connection.execute(_NOTE_USED, {**key, "worker": worker, "host": host, "used": used}))
    if row is not None:
        connection.execute(_ADD_JOB_SAMPLE, {**use, "host": host})
    return row


def roll_up(connection: Connection) -> None:
    """Make the bins that are over, and forget what is past its time. Idempotent; finer samples stay until rolled up."""
    for level in LEVELS:
        if level.made_of is not None:
            parameters = {"seconds": level.seconds, "made_of": level.made_of, "settled": SETTLED_SECONDS}
            connection.execute(_ROLL_UP, parameters)
    for level in LEVELS:
        connection.execute(_FORGET, {"seconds": level.seconds, "kept_seconds": level.kept_seconds})


def merge_long_jobs(connection: Connection) -> None:
    """Merge the samples of running jobs that have more than MOST_JOB_SAMPLES."""
    for job_id in connection.scalars(_LONG_JOBS, {"most": MOST_JOB_SAMPLES}).all():
        connection.execute(_MERGE, {"job_id": job_id, "bins": MOST_JOB_SAMPLES // 2})


def current(connection: Connection, host: str | None = None) -> list[Row]:
    """The newest sample of each host, or of one, that was measured within the last hour."""
    return many(connection.execute(_CURRENT, {"host": host}))


def host_names(connection: Connection, host: str | None = None) -> list[str]:
    """All hosts, or the one of that name."""
    return list(connection.scalars(_HOST_NAMES, {"host": host}))


def history(connection: Connection, host: str, seconds: int, since: datetime, until: datetime) -> list[list[Any]]:
    """[Unix seconds, {gauge: mean}, {gauge: greatest} or None] in order."""
    parameters = {"host": host, "seconds": seconds, "since": since, "until": until}
    return from_json(connection.scalar(_HISTORY, parameters) or "[]", cache_strings="keys")


def job_samples(connection: Connection, job_id: str, since: datetime | None, until: datetime | None) -> Sequence[Row]:
    """What a job used, in order; `at` in Unix seconds."""
    return many(connection.execute(_JOB_SAMPLES, {"job_id": job_id, "since": since, "until": until}))


def attempt_spans(connection: Connection, job_id: str) -> list[Row]:
    """{attempt, host, started_at, ended_at} of a job's attempts in order."""
    return many(connection.execute(_ATTEMPT_SPANS, {"job_id": job_id}))
