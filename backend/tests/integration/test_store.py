"""The store: migrations and models agree, constraints hold the promises, series keep every spike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from alembic import command
from headway.errors import UnavailableError
from headway.spool.reader import MetricRows
from headway.storage import jobs as job_store
from headway.storage import metrics as metric_store
from headway.storage.engine import make_engine, reading, transaction
from headway.storage.ids import new_id
from headway.storage.migrate import head_revision, upgrade
from headway.storage.partitions import ensure_partitions, partition_name, week_start
from headway.storage.series import Range, read_series
from headway.storage.tables import metadata

ALEMBIC = Path(__file__).parents[2] / "alembic"
EVERY_STEP = {1: 2**62}

_SHAPE = """
SELECT 'column', c.table_name, c.column_name,
       c.data_type || ' ' || c.is_nullable || ' ' || coalesce(c.column_default, '')
FROM information_schema.columns c WHERE c.table_schema = :schema
UNION ALL
SELECT 'constraint', t.relname, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = :schema
UNION ALL
SELECT 'index', i.tablename, i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = :schema
"""


@pytest.fixture(scope="module")
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(postgres_url, pool_size=2)
    yield engine
    engine.dispose()


def add_job(connection: Connection, **values: Any) -> tuple[str, int]:
    """A bare job row: (id, key)."""
    row = {"id": new_id(), "kind": "probe.work", "name": "n", "state": "queued", "queue": "cpu", "config": {}} | values
    columns = ", ".join(row)
    statement = text(f"INSERT INTO jobs ({columns}) VALUES ({', '.join(f':{name}' for name in row)}) RETURNING id, key")
    found = connection.execute(statement, row | {"config": json.dumps(row["config"])}).one()
    return found.id, found.key


def add_points(connection: Connection, key: int, steps: range, values: list[float], name: str = "loss") -> int:
    """Append one series of attempt 1 and answer its metric id."""
    ids = metric_store.metric_ids(connection, [name])
    rows = [MetricRows((name,), list(steps), [1.7e9] * len(steps), values)]
    metric_store.append(connection, job_key=key, attempt=1, rows=rows, ids=ids, received_at=datetime.now(UTC))
    metric_store.note_job_metrics(connection, key, 1, ids.values())
    return ids[name]


def test_migrations_and_models_make_the_same_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        of_partitions = [d for d in differences if "training_metrics_2" not in repr(d)]
        assert of_partitions == []
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS models"))
        connection.execute(text("SET search_path = models"))
        metadata.create_all(connection)
        shapes = [
            {
                tuple(str(part).replace("models.", "").replace("public.", "") for part in row)
                for row in connection.execute(text(_SHAPE), {"schema": schema})
                if "alembic" not in row[1] and "training_metrics_2" not in row[1]
            }
            for schema in ("models", "public")
        ]
        connection.rollback()
    assert shapes[0] == shapes[1]


def test_migrations_go_down_to_nothing_and_back(cluster: Any, postgres_url: str, engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(ALEMBIC))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        assert list(tables) == ["alembic_version"]
        command.upgrade(config, "head")
    assert upgrade(postgres_url) is False
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == head_revision()


def test_job_is_100_percent_if_and_only_if_completed(engine: Engine) -> None:
    for values in ({"percent_bp": 10_000}, {"state": "completed", "percent_bp": 9_999}, {"percent_bp": 10_001}):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            add_job(connection, **values)
    with engine.begin() as connection:
        add_job(connection, state="completed", percent_bp=10_000)


def test_partitions_are_made_ahead_and_only_once(engine: Engine) -> None:
    later = datetime.now(UTC) + timedelta(weeks=30)
    with engine.begin() as connection:
        made = ensure_partitions(connection, later, weeks_ahead=2)
        assert made == [partition_name(week_start(later) + timedelta(weeks=n)) for n in range(3)]
        assert ensure_partitions(connection, later, weeks_ahead=2) == []


def test_thinned_series_keeps_a_spike_of_a_single_step(engine: Engine) -> None:
    values = [0.0] * 50_000
    values[31_337], values[40_001] = 99.0, -99.0
    with engine.begin() as connection:
        _, key = add_job(connection)
        metric = add_points(connection, key, range(50_000), values)
        series = read_series(connection, key, {"loss": metric}, Range(EVERY_STEP, 0, 2**62, 1000))[0]
    assert len(series.steps) <= 1000
    assert series.steps == sorted(set(series.steps))
    points = dict(zip(series.steps, series.values, strict=True))
    assert (points[31_337], points[40_001]) == (99.0, -99.0)


def test_short_series_comes_whole_whatever_its_steps(engine: Engine) -> None:
    with engine.begin() as connection:
        _, key = add_job(connection)
        metric = add_points(connection, key, range(0, 500_000, 1000), [float(n) for n in range(500)])
        series = read_series(connection, key, {"loss": metric}, Range(EVERY_STEP, 0, 2**62, 500))[0]
    assert series.steps == list(range(0, 500_000, 1000))


def test_values_that_are_not_finite_survive_thinning_with_their_kind(engine: Engine) -> None:
    values = [1.0] * 5000
    values[1234], values[4000] = float("nan"), float("-inf")
    with engine.begin() as connection:
        _, key = add_job(connection)
        metric = add_points(connection, key, range(5000), values)
        series = read_series(connection, key, {"loss": metric}, Range(EVERY_STEP, 0, 2**62, 100))[0]
    odd = {series.steps[index]: kind for index, kind in series.nonfinite.items()}
    assert odd == {1234: "NaN", 4000: "-Inf"}


def test_reading_a_curve_uses_the_covering_index(engine: Engine) -> None:
    with engine.begin() as connection:
        _, key = add_job(connection)
        metric = add_points(connection, key, range(20_000), [1.0] * 20_000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE training_metrics"))
        plan = connection.scalars(
            text(
                "EXPLAIN SELECT step, value FROM training_metrics WHERE job = :job AND metric = :metric "
                "AND step BETWEEN 100 AND 200 ORDER BY step"
            ),
            {"job": key, "metric": metric},
        ).all()
    assert "Index Only Scan" in "\n".join(plan)


def end_backend(engine: Engine, pid: int | None) -> None:
    """Postgres ends a connection, as it does when it restarts; on return it has."""
    with engine.connect() as killer:
        assert killer.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@pytest.mark.parametrize("begun", [reading, transaction])
def test_connection_that_postgres_has_ended_is_replaced_before_its_next_use(
    postgres_url: str, engine: Engine, begun: Any
) -> None:
    pooled = make_engine(postgres_url, pool_size=1)
    with pooled.connect() as connection:
        ended = connection.connection.driver_connection
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    end_backend(engine, pid)
    with begun(pooled) as connection:
        assert connection.connection.driver_connection is not ended
        assert job_store.get_job(connection, "nobody") is None
    pooled.dispose()


@pytest.mark.parametrize("begun", [reading, transaction])
def test_read_that_loses_its_connection_is_unavailable_and_the_next_one_answers(
    postgres_url: str, engine: Engine, begun: Any
) -> None:
    pooled = make_engine(postgres_url, pool_size=1)

    def read(*, cut_off: bool) -> None:
        with begun(pooled) as connection:
            if cut_off:
                end_backend(engine, connection.scalar(text("SELECT pg_backend_pid()")))
            assert job_store.get_job(connection, "nobody") is None

    with pytest.raises(UnavailableError):
        read(cut_off=True)
    read(cut_off=False)
    pooled.dispose()


def test_read_leaves_its_connection_to_transactions_that_can_be_undone(postgres_url: str) -> None:
    pooled = make_engine(postgres_url, pool_size=1)
    with reading(pooled) as connection:
        assert job_store.get_job(connection, "undone") is None
    with transaction(pooled) as connection:
        add_job(connection, id="undone")
        assert job_store.get_job(connection, "undone") is not None
        connection.rollback()
    with reading(pooled) as connection:
        assert job_store.get_job(connection, "undone") is None
    pooled.dispose()


def test_unreachable_postgres_is_unavailable_at_once(tmp_path: Path) -> None:
    engine = make_engine(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(UnavailableError, match="cannot be reached"), transaction(engine):
        pass
