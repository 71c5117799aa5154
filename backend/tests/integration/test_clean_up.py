"""The monthly clean-up: past its days everything goes that must, and nothing else; each batch is bounded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from headway.local.programs import headway_command
from headway.services.archive_metrics import archive_metrics
from headway.services.clean_up import Retention, clean_up
from headway.storage import retention
from headway.storage.archive import restore_week, stored_weeks
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.partitions import WEEK, week_start
from tests.installation import Installation, open_installation
from tests.integration.test_archive import append
from tests.integration.test_store import add_job

KEEP = Retention(history_days=90, logs_days=90, events_days=90, jobs_days=90)
JOURNAL_ONLY = Retention(history_days=90, logs_days=90, events_days=90, jobs_days=0)


@pytest.fixture
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.query("TRUNCATE jobs, studies, artifacts, maintenance, training_metrics CASCADE")
        yield opened
        for week in archived_weeks(opened):
            with transaction(opened.engine) as connection:
                restore_week(connection, week, datetime.now(UTC))


def archived_weeks(installation: Installation) -> list[datetime]:
    with transaction(installation.engine) as connection:
        return [week.start for week in stored_weeks(connection) if week.archived]


def ended(installation: Installation, days_ago: int, lines: int = 3, **values: Any) -> str:
    """A job that completed so long ago, with its journal, its points and its folder."""
    with transaction(installation.engine) as connection:
        job_id, key = add_job(connection, **{"state": "completed", "percent_bp": 10_000, **values})
        parameters = {"id": job_id, "days": days_ago, "lines": lines}
        for statement in (
            "UPDATE jobs SET finished_at = now() - make_interval(days => :days) WHERE id = :id",
            "INSERT INTO job_logs (job_id, no, attempt, level, text, at) "
            "SELECT :id, n, 1, 'info', 'x', now() FROM generate_series(1, :lines) AS n",
            "INSERT INTO job_events (job_id, no, type) VALUES (:id, 1, 'job.completed')",
            "INSERT INTO progress_history (job_id, revision, attempt, at, percent_bp, phase_changed) "
            "VALUES (:id, 1, 1, now(), 5, false)",
        ):
            wanted = {name: value for name, value in parameters.items() if f":{name}" in statement}
            connection.execute(text(statement), wanted)
        append(connection, key, 0, week_start(datetime.now(UTC)) - 10 * WEEK, points=5)
        append(connection, key, 5, datetime.now(UTC), points=5)
    folder = installation.settings.headway_data_dir / "jobs" / job_id
    folder.mkdir(parents=True)
    return job_id


def counts(installation: Installation, job_id: str) -> dict[str, int]:
    """Rows of each table that are the job's."""
    found = {
        table: installation.query(f"SELECT count(*) FROM {table} WHERE job_id = %s", job_id)[0][0]
        for table in ("job_logs", "job_events", "progress_history")
    }
    found["jobs"] = installation.query("SELECT count(*) FROM jobs WHERE id = %s", job_id)[0][0]
    return found


def points(installation: Installation) -> list[int]:
    """Points live, archived, and buckets."""
    tables = ("training_metrics", "training_metrics_archive", "metric_buckets")
    return [installation.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def test_what_is_younger_than_its_days_stays(installation: Installation) -> None:
    job_id = ended(installation, days_ago=89)
    assert set(clean_up(installation.engine, installation.settings.headway_data_dir, KEEP).values()) == {0}
    assert counts(installation, job_id) == {"job_logs": 3, "job_events": 1, "progress_history": 1, "jobs": 1}


def test_a_job_past_its_days_goes_with_all_its_points_live_and_archived(installation: Installation) -> None:
    job_id = ended(installation, days_ago=91)
    archive_metrics(installation.engine, 30, 0)
    assert points(installation) == [5, 5, 2]
    done = clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    assert done == {"progress_history": 1, "job_logs": 3, "job_events": 1, "jobs": 1}
    assert counts(installation, job_id)["jobs"] == 0
    assert points(installation) == [0, 0, 0]
    assert not (installation.settings.headway_data_dir / "jobs" / job_id).exists()


def test_a_job_whose_artifact_lives_is_kept_and_its_journal_goes(installation: Installation) -> None:
    job_id = ended(installation, days_ago=200)
    installation.query(
        "INSERT INTO artifacts (id, type, name, job_id, output, state) VALUES (%s, 'sae', 'a', %s, 'sae', 'ready')",
        new_id(),
        job_id,
    )
    clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    assert counts(installation, job_id) == {"job_logs": 0, "job_events": 0, "progress_history": 0, "jobs": 1}


def test_a_job_that_is_not_over_is_never_touched(installation: Installation) -> None:
    job_id = ended(installation, days_ago=200, state="running", percent_bp=5)
    installation.query("UPDATE jobs SET finished_at = NULL")
    assert set(clean_up(installation.engine, installation.settings.headway_data_dir, KEEP).values()) == {0}
    assert counts(installation, job_id)["job_logs"] == 3


def test_zero_days_keep_for_ever(installation: Installation) -> None:
    job_id = ended(installation, days_ago=10_000)
    clean_up(installation.engine, installation.settings.headway_data_dir, Retention(0, 0, 0, 0))
    assert counts(installation, job_id)["jobs"] == 1
    clean_up(installation.engine, installation.settings.headway_data_dir, JOURNAL_ONLY)
    assert counts(installation, job_id) == {"job_logs": 0, "job_events": 0, "progress_history": 0, "jobs": 1}


def test_batches_are_bounded_and_go_on_until_nothing_is_left(installation: Installation) -> None:
    ended(installation, days_ago=91, lines=25)
    with transaction(installation.engine) as connection:
        assert retention.delete_journal(connection, "job_logs", 90, batch=10) == 10
    done = clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    assert (done["job_logs"], done["jobs"]) == (15, 1)


def test_a_study_goes_with_its_last_job(installation: Installation) -> None:
    installation.query("INSERT INTO studies (id, name, created_at) VALUES ('old', 's', now() - interval '100 days')")
    ended(installation, days_ago=91, study_id="old")
    clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    assert installation.query("SELECT count(*) FROM studies") == [(0,)]


def test_statistics_and_counters_tell_what_was_done(installation: Installation) -> None:
    ended(installation, days_ago=1)
    archive_metrics(installation.engine, 30, 0)
    clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    installation.query("ANALYZE training_metrics, training_metrics_archive")
    address = installation.start_api()
    headers = {"Authorization": "Bearer test-token"}
    found = httpx.get(f"{address}/api/v1/system/retention", headers=headers).json()
    assert [age["days"] for age in found["ages"]] == [7, 30, 90, 365, None]
    assert found["ages"][0]["live_rows"] >= 5
    assert sum(age["archived_rows"] for age in found["ages"]) >= 5
    assert {task["task"]: task["runs"] for task in found["tasks"]} == {"archive_training_metrics": 1, "clean_up": 1}
    told = httpx.get(f"{address}/metrics", headers=headers).text
    assert 'headway_maintenance_duration_seconds_count{task="archive_training_metrics"} 1.0' in told
    assert 'headway_maintenance_failures_total{task="clean_up"} 0.0' in told
    assert 'headway_maintenance_done_total{task="archive_training_metrics",what="weeks_archived"}' in told


def test_the_data_directory_of_other_jobs_is_left_alone(installation: Installation) -> None:
    keep = ended(installation, days_ago=1)
    ended(installation, days_ago=91)
    clean_up(installation.engine, installation.settings.headway_data_dir, KEEP)
    left: list[Path] = list((installation.settings.headway_data_dir / "jobs").iterdir())
    assert [folder.name for folder in left] == [keep]


def test_the_command_line_archives_restores_and_shows(installation: Installation) -> None:
    job_id = ended(installation, days_ago=1)
    installation.query(
        "INSERT INTO attempts (job_id, number, lease_owner, host, started_at, drained_at) "
        "VALUES (%s, 1, 'me', 'here', now() - interval '11 weeks', now())",
        job_id,
    )
    address = installation.start_api()
    environment = installation.environment | {"HEADWAY_PORT": address.rsplit(":", 1)[1]}

    def headway(*arguments: str) -> str:
        command = headway_command(*arguments)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        return done.stdout + done.stderr

    assert "1 weeks archived, 0 dropped." in headway("metrics", "archive")
    assert "name a job, or both --first and --last" in headway("metrics", "restore", "--until", "2999-01-01")
    assert "weeks are held until 2999-01-01" in headway("metrics", "restore", "--job", job_id, "--until", "2999-01-01")
    assert archived_weeks(installation) == []
    installation.query("DELETE FROM metric_holds WHERE until > '2998-01-01'")
    shown = headway("metrics", "stats")
    assert "archive_training_metrics" in shown
    assert "weeks_archived 1" in shown
    assert "0 jobs deleted." in headway("clean-up")
