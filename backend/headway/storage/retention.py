"""Deletes what is past its retention, in batches that bound each transaction."""

from __future__ import annotations

from sqlalchemy import Connection, text

from headway.storage.rows import Row, many

#: Rows a transaction deletes at most.
BATCH_ROWS = 10_000
#: Tables of what a job told; their rows are kept for a number of days after the job is over.
JOURNALS = ("progress_history", "job_logs", "job_events")

_DELETE_JOURNAL = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT told.ctid FROM jobs j CROSS JOIN LATERAL (SELECT t.ctid FROM {table} t WHERE t.job_id = j.id) AS told
    WHERE j.finished_at < now() - make_interval(days => :days) LIMIT :batch))
"""
# an artifact that is ready, or that a job uses, keeps the job that made it
_PAST_JOBS = text("""
SELECT id, key FROM jobs j WHERE j.finished_at < now() - make_interval(days => :days) AND j.id > :after
  AND NOT EXISTS (SELECT FROM artifacts a WHERE a.job_id = j.id AND (
      a.state = 'ready' OR EXISTS (SELECT FROM job_inputs i WHERE i.artifact_id = a.id AND i.job_id <> j.id)))
ORDER BY j.id LIMIT :batch
""")
_EMPTY_STUDIES = text("""
DELETE FROM studies s WHERE s.created_at < now() - make_interval(days => :days)
  AND NOT EXISTS (SELECT FROM jobs j WHERE j.study_id = s.id)
""")
_DELETE_POINTS = """
DELETE FROM {partition} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {partition} WHERE job = :job LIMIT :batch))
"""


def delete_journal(connection: Connection, table: str, days: int, batch: int = BATCH_ROWS) -> int:
    """Delete a batch of what jobs told (a table of JOURNALS) that ended more than `days` ago; how many rows."""
    return connection.execute(text(_DELETE_JOURNAL.format(table=table)), {"days": days, "batch": batch}).rowcount


def past_jobs(connection: Connection, days: int, after: str = "", batch: int = 100) -> list[Row]:
    """{id, key} of jobs that ended more than `days` ago and whose artifacts do not live, in order of id."""
    return many(connection.execute(_PAST_JOBS, {"days": days, "after": after, "batch": batch}))


def delete_empty_studies(connection: Connection, days: int) -> int:
    """Delete studies made more than `days` ago whose jobs are all gone; how many."""
    return connection.execute(_EMPTY_STUDIES, {"days": days}).rowcount


def delete_points(connection: Connection, partition: str, job_key: int, batch: int = BATCH_ROWS) -> int:
    """Delete a batch of a job's points in one week, live or archived; how many."""
    statement = text(_DELETE_POINTS.format(partition=partition))
    return connection.execute(statement, {"job": job_key, "batch": batch}).rowcount
