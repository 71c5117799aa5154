"""Retention: weeks move whole and atomically, writers and readers go on, what is held stays, what is kept is kept."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from headway.errors import InvalidInputError, NotFoundError
from headway.local import postgres
from headway.services.archive_metrics import archive_metrics, days_of_job, restore_metrics
from headway.services.read_metrics import MetricsQuery, MetricsView, read_metrics
from headway.spool.reader import MetricRows
from headway.storage import archive, buckets, partitions
from headway.storage import metrics as metric_store
from headway.storage.archive import WeekBusyError, stored_weeks
from headway.storage.engine import make_engine, transaction
from headway.storage.maintenance import task_totals
from headway.storage.partitions import WEEK, ensure_partitions, ensure_week, partition_name, week_start
from headway.storage.series import Range, read_series
from tests.integration.test_store import add_job
from tests.services import fresh_database

NOW = datetime.now(UTC)
THIS_WEEK = week_start(NOW)
#: A day to come, even where the suite runs past midnight.
A_DAY_TO_COME = NOW.date() + timedelta(days=2)
WEEKS_BACK = 12
OLD = [THIS_WEEK - number * WEEK for number in range(WEEKS_BACK, 0, -1)]
#: Wholly older than 30 days.
DUE = [week for week in OLD if week + WEEK <= NOW - timedelta(days=30)]
POINTS_A_WEEK = 500


@pytest.fixture
def engine(cluster: postgres.Cluster) -> Iterator[Engine]:
    """A database of its own for each test: weeks are moved about in all of them."""
    with fresh_database(cluster) as url:
        engine = make_engine(url, pool_size=6)
        yield engine
        engine.dispose()


def fill(engine: Engine) -> str:
    """A job that logged through all the weeks back and this one; its id."""
    with transaction(engine) as connection:
        job_id, key = add_job(connection, state="running", attempt=1, created_at=OLD[0])
        connection.execute(
            text(
                "INSERT INTO attempts (job_id, number, lease_owner, host, started_at, drained_at, spool_offset) "
                "VALUES (:id, 1, 'me', 'here', :start, now(), 1)"
            ),
            {"id": job_id, "start": OLD[0]},
        )
        for number, week in enumerate([*OLD, THIS_WEEK]):
            append(connection, key, number * POINTS_A_WEEK, week + timedelta(hours=1))
    return job_id


def append(connection: Connection, key: int, first: int, received_at: datetime, points: int = POINTS_A_WEEK) -> None:
    ids = metric_store.metric_ids(connection, ["loss"])
    steps = list(range(first, first + points))
    rows = [MetricRows(("loss",), steps, [1.7e9] * points, [1 / (step + 3) for step in steps])]
    metric_store.append(connection, job_key=key, attempt=1, rows=rows, ids=ids, received_at=received_at)
    metric_store.note_job_metrics(connection, key, 1, ids.values())


def curve(engine: Engine, job_id: str, **query: object) -> MetricsView:
    return read_metrics(engine, job_id, MetricsQuery.model_validate({"max_points": 100_000, **query}))


def places(engine: Engine) -> dict[date, bool]:
    """Whether each week with metrics of the past is archived."""
    with transaction(engine) as connection:
        return {week.start.date(): week.archived for week in stored_weeks(connection) if week.start < THIS_WEEK}


def dates(weeks: list[datetime]) -> list[date]:
    return [week.date() for week in weeks]


@contextmanager
def held_open(engine: Engine, statement: str) -> Iterator[Connection]:
    """A transaction that has run the statement and does not end while the block lasts."""
    with engine.connect() as connection:
        connection.execute(text(statement))
        yield connection
        connection.rollback()


def test_weeks_wholly_older_than_the_limit_are_archived_and_no_other(engine: Engine) -> None:
    fill(engine)
    done = archive_metrics(engine, archive_days=30, keep_days=0)
    assert (done.archived, done.dropped, done.put_off) == (dates(DUE), [], False)
    assert places(engine) == {week.date(): week in DUE for week in OLD}


def test_a_curve_is_the_same_bit_for_bit_before_and_after_and_after_a_restore(engine: Engine) -> None:
    job_id = fill(engine)
    before, thinned = curve(engine, job_id), curve(engine, job_id, max_points=100)
    assert len(before.series[0].steps) == (WEEKS_BACK + 1) * POINTS_A_WEEK
    archive_metrics(engine, 30, 0)
    assert (curve(engine, job_id), curve(engine, job_id, max_points=100)) == (before, thinned)
    restore_metrics(engine, OLD[0].date(), NOW.date(), NOW.date() + timedelta(days=9))
    assert not any(places(engine).values())
    assert (curve(engine, job_id), curve(engine, job_id, max_points=100)) == (before, thinned)


def test_without_the_archive_a_curve_has_the_live_weeks_alone(engine: Engine) -> None:
    job_id = fill(engine)
    archive_metrics(engine, 30, 0)
    live = curve(engine, job_id, include_archived=False).series[0].steps
    assert live == list(range(len(DUE) * POINTS_A_WEEK, (WEEKS_BACK + 1) * POINTS_A_WEEK))


def test_no_row_is_copied_and_no_week_is_read_to_be_attached(engine: Engine) -> None:
    fill(engine)
    nodes = "SELECT relname, relfilenode FROM pg_class WHERE relname LIKE 'training\\_metrics\\_2%'"
    with transaction(engine) as connection:
        before = {row.relname: row.relfilenode for row in connection.execute(text(nodes))}
        notices: list[str] = []
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.add_notice_handler(lambda said: notices.append(said.message_primary))
        connection.execute(text("SET LOCAL client_min_messages = debug1"))
        assert archive.archive_week(connection, DUE[0])
    assert any("is implied by existing constraints" in said for said in notices), notices
    assert not any("verifying table" in said for said in notices)
    archive_metrics(engine, 30, 0)
    with transaction(engine) as connection:
        assert {row.relname: row.relfilenode for row in connection.execute(text(nodes))} == before


def test_two_runs_at_once_move_each_week_once(engine: Engine) -> None:
    job_id = fill(engine)
    before = curve(engine, job_id)
    with ThreadPoolExecutor(2) as pool:
        runs = [run.result() for run in [pool.submit(archive_metrics, engine, 30, 0) for _ in range(2)]]
    assert sorted([*runs[0].archived, *runs[1].archived]) == dates(DUE)
    assert curve(engine, job_id) == before


def test_what_a_killed_run_left_is_finished_by_the_next(engine: Engine) -> None:
    job_id = fill(engine)
    before = curve(engine, job_id)
    with engine.connect() as connection:
        archive.archive_week(connection, DUE[0])
        connection.commit()
        archive.archive_week(connection, DUE[1])
        victim = connection.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": victim})
        connection.invalidate()
    assert curve(engine, job_id) == before
    assert archive_metrics(engine, 30, 0).archived == dates(DUE)[1:]
    assert curve(engine, job_id) == before


def test_a_long_reader_puts_the_move_off_and_writers_go_on_meanwhile(engine: Engine) -> None:
    fill(engine)
    waits: list[float] = []
    over = threading.Event()

    def write() -> None:
        step = 10**6
        while not over.is_set():
            started = time.monotonic()
            with transaction(engine) as connection:
                append(connection, 1, step, datetime.now(UTC), points=1)
            waits.append(time.monotonic() - started)
            step += 1

    with held_open(engine, "SELECT count(*) FROM training_metrics"):
        writer = threading.Thread(target=write)
        writer.start()
        done = archive_metrics(engine, 30, 0, patience_seconds=2)
        over.set()
        writer.join(10)
    assert (done.archived, done.put_off) == ([], True)
    # no writer waited as long as the reader stayed: each waits no longer than one try for the lock does
    assert len(waits) > 2
    assert archive_metrics(engine, 30, 0).archived == dates(DUE)


def test_a_writer_under_way_is_waited_for_shortly_and_loses_nothing(engine: Engine) -> None:
    job_id = fill(engine)
    with engine.connect() as writer:
        append(writer, 1, 10**6, NOW, points=1)
        with pytest.raises(WeekBusyError, match="in use"), transaction(engine) as connection:
            archive.archive_week(connection, DUE[0])
        writer.commit()
    archive_metrics(engine, 30, 0)
    assert curve(engine, job_id).series[0].steps[-1] == 10**6


def test_making_weeks_ahead_waits_for_no_writer(engine: Engine) -> None:
    fill(engine)
    with engine.connect() as writer:
        append(writer, 1, 10**6, NOW, points=1)
        with transaction(engine) as connection:
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            made = ensure_partitions(connection, NOW + 40 * WEEK, weeks_ahead=1)
        writer.commit()
    assert len(made) == 2


def test_a_drain_that_finds_no_partition_makes_it(engine: Engine) -> None:
    far = THIS_WEEK + 100 * WEEK
    with transaction(engine) as connection:
        _, key = add_job(connection)
        append(connection, key, 0, far, points=3)
        assert connection.scalar(text(f"SELECT count(*) FROM {partition_name(far)}")) == 3


def test_a_week_made_by_a_drain_that_failed_is_made_again(engine: Engine) -> None:
    far = THIS_WEEK + 101 * WEEK
    with engine.connect() as connection:
        ensure_week(connection, far)
        connection.rollback()
    with transaction(engine) as connection:
        _, key = add_job(connection)
        append(connection, key, 0, far, points=1)


def test_there_is_no_default_partition(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_partitioned_table WHERE partdefid <> 0")) == 0


def test_restored_weeks_are_held_until_their_day_and_archived_after_it(engine: Engine) -> None:
    fill(engine)
    archive_metrics(engine, 30, 0)
    held = restore_metrics(engine, DUE[1].date(), DUE[2].date(), A_DAY_TO_COME)
    assert held == dates(DUE[1:3])
    assert archive_metrics(engine, 30, 0).archived == []
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE metric_holds SET until = now() - interval '1 s' WHERE week = :w"), {"w": held[0]}
        )
    assert archive_metrics(engine, 30, 0).archived == held[:1]


def test_a_held_week_is_not_dropped_with_the_others(engine: Engine) -> None:
    job_id = fill(engine)
    restore_metrics(engine, DUE[0].date(), DUE[0].date(), A_DAY_TO_COME)
    done = archive_metrics(engine, 30, keep_days=60)
    past = [week for week in DUE if week + WEEK <= NOW - timedelta(days=60)]
    assert len(past) > 1
    assert done.dropped == dates(past)[1:]
    kept = {step // POINTS_A_WEEK for step in curve(engine, job_id).series[0].steps}
    assert kept == {0, *range(len(past), WEEKS_BACK + 1)}
    assert {step // POINTS_A_WEEK for step in curve(engine, job_id, max_points=100).series[0].steps} == kept


def test_a_restore_says_what_is_wrong_with_its_days(engine: Engine) -> None:
    fill(engine)
    with pytest.raises(InvalidInputError, match=r"name the first day first.*not in the future"):
        restore_metrics(engine, date(2024, 2, 1), date(2024, 1, 1), date(2024, 3, 1))
    with pytest.raises(NotFoundError, match="no metrics are stored of 2020"):
        restore_metrics(engine, date(2020, 1, 1), date(2020, 2, 1), A_DAY_TO_COME)


def test_the_days_of_a_job_are_those_of_its_drains(engine: Engine) -> None:
    first, last = days_of_job(engine, fill(engine))
    assert first == OLD[0].date()
    assert NOW.date() <= last < A_DAY_TO_COME
    with pytest.raises(NotFoundError):
        days_of_job(engine, "nosuchjob")


def test_each_run_is_counted_with_its_duration(engine: Engine) -> None:
    fill(engine)
    for _ in range(2):
        archive_metrics(engine, 30, 0)
    with transaction(engine) as connection:
        totals = {row["task"]: row for row in task_totals(connection)}["archive_training_metrics"]
    assert (totals["runs"], totals["failures"], totals["last_error"]) == (2, 0, None)
    assert totals["counts"] == {"weeks_archived": len(DUE), "weeks_dropped": 0, "runs_put_off": 0}
    assert 0 < totals["last_seconds"] < totals["seconds"]


def test_a_failed_run_is_counted_with_its_error(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE metric_holds RENAME TO elsewhere"))
    with pytest.raises(Exception, match="metric_holds"):
        archive_metrics(engine, 30, 0)
    with transaction(engine) as connection:
        row = task_totals(connection)[0]
    assert row["failures"] == 1
    assert "metric_holds" in row["last_error"]


def test_partitions_are_vacuumed_as_they_fill(engine: Engine) -> None:
    with transaction(engine) as connection:
        options = connection.scalars(
            text("SELECT reloptions FROM pg_class WHERE relname = :n"), {"n": partition_name(THIS_WEEK)}
        ).one()
    assert "autovacuum_vacuum_insert_scale_factor=0.02" in options
    assert partitions.WEEKS_AHEAD == 8


def test_explain_shows_weeks_pruned_and_index_only_scans(engine: Engine) -> None:
    fill(engine)
    with transaction(engine) as connection:
        _, other = add_job(connection)
        for week in OLD[:3]:
            append(connection, other, 0, week, points=20_000)
    archive_metrics(engine, 30, 0)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        statement = text(
            "EXPLAIN (ANALYZE, COSTS OFF) SELECT step, value FROM (SELECT * FROM training_metrics UNION ALL "
            "SELECT * FROM training_metrics_archive) AS m WHERE job = 1 AND metric = 1 AND step BETWEEN 0 AND 100000 "
            "AND received_at BETWEEN :since AND :until ORDER BY step"
        )
        plan = "\n".join(connection.scalars(statement, {"since": OLD[1], "until": OLD[2] + timedelta(hours=2)}))
    assert [week for week in OLD if partition_name(week) in plan] == OLD[1:3]
    assert "Index Only Scan" in plan
    assert "Seq Scan" not in plan
    assert "Heap Fetches: 0" in plan


@given(
    steps=st.lists(st.integers(-600, 3000), min_size=1, max_size=400),
    values=st.lists(st.sampled_from([0.0, 1.0, -5.0, 99.0, math.nan, math.inf]), min_size=8, max_size=8),
    pieces=st.integers(1, 4),
)
def test_buckets_say_what_their_points_say(steps: list[int], values: list[float], pieces: int) -> None:
    points = [(step, values[number % len(values)]) for number, step in enumerate(steps)]
    size = -(-len(points) // pieces)
    groups = [
        MetricRows(("loss",), [s for s, _ in part], [0.0] * len(part), [v for _, v in part])
        for part in (points[first : first + size] for first in range(0, len(points), size))
    ]
    for bucket in {step // buckets.STEPS for step in steps}:
        inside = [value for step, value in points if step // buckets.STEPS == bucket]
        finite = [value for value in inside if math.isfinite(value)]
        found = [each for each in buckets.extremes(groups, {"loss": 1}) if each.bucket == bucket]
        assert min((e.low for e in found if e.low is not None), default=None) == min(finite, default=None)
        assert max((e.high for e in found if e.high is not None), default=None) == max(finite, default=None)
        assert any(e.odd_step is not None for e in found) == (len(finite) < len(inside))
        assert all((e.low_step, e.low) in points for e in found if e.low is not None)


def test_a_folded_curve_keeps_spikes_and_odd_values_at_the_edges_of_attempts_and_ranges(engine: Engine) -> None:
    with transaction(engine) as connection:
        _, key = add_job(connection)
        ids = metric_store.metric_ids(connection, ["loss"])
        for attempt, steps in ((1, range(100_000)), (2, range(60_101, 160_000))):
            values = [float(attempt)] * len(steps)
            for step, value in ((60_099, 77.0), (60_101, -7.0), (60_050, math.nan), (150_000, 99.0)):
                if step in steps:
                    values[step - steps[0]] = value
            for first in range(0, len(steps), 7000):  # drains end within buckets
                part = slice(first, first + 7000)
                rows = [MetricRows(("loss",), list(steps[part]), [1.7e9] * len(steps[part]), values[part])]
                metric_store.append(
                    connection, job_key=key, attempt=attempt, rows=rows, ids=ids, received_at=datetime.now(UTC)
                )
        reach = Range({1: 60_100, 2: 2**62}, 10, 2**62, 200)
        series = read_series(connection, key, ids, reach)[0]
        ghosts = read_series(connection, key, ids, Range({1: 60_100}, 10, 2**62, 20, ghosts=True))[0]
    points = dict(zip(series.steps, series.values, strict=True))
    assert (points[60_099], points[60_101], points[150_000]) == (77.0, -7.0, 99.0)
    assert series.nonfinite == {series.steps.index(60_050): "NaN"}
    assert min(series.steps) >= 10
    assert len(series.steps) <= 201
    assert min(ghosts.steps) == 60_101
    assert set(ghosts.values) == {1.0, -7.0}
