"""Configurations that strategy searches saved: a row for each artifact of that type, once its job is completed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from headway.storage.rows import Row, many, one

# the curves move: lists of artifacts stay short
_SAVE = text("""
WITH made AS (
    SELECT a.*, j.kind FROM artifacts a JOIN jobs j ON j.id = a.job_id
    WHERE a.job_id = :job_id AND a.type = 'configuration' AND a.state = 'ready'
), saved AS (
    INSERT INTO trained_configurations
        (id, job_id, name, kind, strategy, market, parameters, score_name, score, ratio, seed, config, results)
    SELECT id, job_id, meta->>'name', kind, meta->>'strategy', meta->>'market', meta->'parameters',
        meta->>'score_name', (meta->>'score')::float8, (meta->>'ratio')::float8, (meta->>'seed')::bigint,
        meta->'config',
        meta - '{name,strategy,market,parameters,score_name,score,ratio,seed,config}'::text[]
    FROM made ON CONFLICT (id) DO NOTHING RETURNING id
)
UPDATE artifacts SET meta = meta - 'curves' WHERE id IN (SELECT id FROM saved)
""")
_SHORT = (
    "id, job_id, name, kind, strategy, market, parameters, score_name, score, ratio, seed, active, activated_at, "
    "created_at, results->>'warning' AS warning, results->'in_sample' AS in_sample, "
    # what was traded on candles that no search had seen; a JSON null is no SQL null
    "coalesce(nullif(results->'walk_forward', 'null') - 'windows', results->'out_of_sample') AS out_of_sample"
)
_LIST = text(f"""
SELECT {_SHORT} FROM trained_configurations
WHERE (CAST(:strategy AS text) IS NULL OR strategy = :strategy)
  AND (CAST(:market AS text) IS NULL OR market = :market)
  AND (CAST(:job_id AS text) IS NULL OR job_id = :job_id)
  AND (CAST(:active AS boolean) IS NULL OR active = :active)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, :before_id))
ORDER BY created_at DESC, id DESC LIMIT :limit
""")
_GET = text(f"SELECT {_SHORT}, config, results FROM trained_configurations WHERE id = ANY(:ids)")
_ACTIVATE = text("""
UPDATE trained_configurations
SET active = :active, activated_at = CASE WHEN :active THEN coalesce(activated_at, now()) END WHERE id = :id
""")


def save_of_job(connection: Connection, job_id: str) -> None:
    """Keep what a completed job saved; nothing for a job that makes no configuration."""
    connection.execute(_SAVE, {"job_id": job_id})


def list_configurations(
    connection: Connection,
    *,
    strategy: str | None,
    market: str | None,
    job_id: str | None,
    active: bool | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Row]:
    """Configurations without their curves, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {
        "strategy": strategy, "market": market, "job_id": job_id, "active": active,
        "before_at": before_at, "before_id": before_id, "limit": limit,
    }  # fmt: skip
    return many(connection.execute(_LIST, parameters))


def get_configurations(connection: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """Whole configurations by id, those that exist."""
    return {row["id"]: row for row in many(connection.execute(_GET, {"ids": list(ids)}))}


def activate(connection: Connection, configuration_id: str, *, active: bool) -> Row | None:
    """Mark one as in use, or no longer; None if there is no such one."""
    connection.execute(_ACTIVATE, {"id": configuration_id, "active": active})
    return one(connection.execute(_GET, {"ids": [configuration_id]}))
