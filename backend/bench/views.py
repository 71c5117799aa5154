"""How fast the documented views answer: `python backend/bench/views.py [jobs rows]`.

A real HTTP client on one connection against one API process over an embedded Postgres that holds 1000 jobs and
10 million metric rows (made by the server itself, then vacuumed), a random job each time. Aim: p99 < 10 ms, warm. What
the machine does besides shows at once in p99: the load before and after is printed with the table.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.services import embedded_installation
from headway.domain.plan import Counter, PhaseSpec
from headway.domain.progress import (
    CountersMoved,
    MetricsLogged,
    PhaseFinished,
    PhaseStarted,
    PlanSet,
    Snapshot,
    apply_all,
)
from headway.services.progress_json import progress_json
from tests.installation import Installation

AIM_P99_MS = 10.0
JOBS, METRIC_ROWS = 1000, 10_000_000
COURSE_SECONDS = 10_000
METRICS = ("loss", "accuracy", "grad_norm", "lr", "rows_per_s")
HISTORY_POINTS = 1000
WARM_UP, REQUESTS = 200, 1000
#: (view, path, whether the aim is its own); `{id}` is a job of the ones there are.
VIEWS = (
    ("run", "/runs/{id}", True),
    ("run, history", "/runs/{id}/progress", True),
    ("run, history of a phase", "/runs/{id}/progress?phase=training&metrics=loss", True),
    ("run, aggregates", "/runs/{id}/progress?aggregate=true", True),
    ("run, aggregates of a phase", "/runs/{id}/progress?aggregate=true&phase=training&limit=1", True),
    ("run, aggregates of a window", "/runs/{id}/progress?aggregate=true&since={since}&limit=1", True),
    ("training v2", "/api/v2/training/jobs/{id}/progress", True),
    ("session, unified", "/api/v1/training/sessions/{id}/progress-unified", True),
    ("session", "/api/v1/training/sessions/{id}/progress", True),
    ("compare two (no aim)", "/api/v1/compare?ids={id},{other}&names=loss", False),
)

_FILL = (
    """
    INSERT INTO jobs (id, kind, name, state, queue, config, progress, percent_bp, attempt, revision, created_at,
                      started_at, updated_at, lease_expires_at)
    SELECT 'bench' || lpad(n::text, 7, '0'), 'sae.train', 'job ' || n, 'running', 'cpu', '{"k": 32, "seed": 1}',
           CAST(:progress AS jsonb), 4200, 1, 5000, now(), now(), now(), now() + interval '1 day'
    FROM generate_series(1, :jobs) AS n
    """,
    # jobs of five weeks, each drained within an hour
    """
    INSERT INTO attempts (job_id, number, lease_owner, host, started_at, drained_at)
    SELECT id, 1, 'bench', 'bench', now() + make_interval(weeks => key % 5),
           now() + make_interval(weeks => key % 5, hours => 1) FROM jobs
    """,
    "INSERT INTO metric_names (name) SELECT unnest(CAST(:metrics AS text[]))",
    "INSERT INTO job_metrics (job, metric, first_attempt) SELECT j.key, m.id, 1 FROM jobs j CROSS JOIN metric_names m",
    """
    INSERT INTO progress_history (job_id, revision, attempt, at, percent_bp, phase, phase_changed, step, rate,
                                  eta_seconds, epoch, message, metrics)
    SELECT j.id, n * 4, 1, now() - make_interval(secs => :seconds * (1 - n::float8 / :points)), n * 4,
           CASE WHEN n < 20 THEN 'initializing' ELSE 'training' END, n IN (1, 20), n * 2, 12.5, 600 - n / 2, n / 400,
           'epoch ' || n / 400, j.progress->'metrics'
    FROM jobs j CROSS JOIN generate_series(1, :points) AS n ORDER BY j.key, n
    """,
    # each job's rows in the order in which its drains brought them
    """
    INSERT INTO training_metrics (job, metric, received_at, attempt, step, at, value)
    SELECT j.key, m.id, now() + make_interval(weeks => j.key % 5), 1, n,
           now() - make_interval(secs => :seconds * (1 - n::float8 / :steps)), random()
    FROM jobs j CROSS JOIN generate_series(1, :steps) AS n CROSS JOIN metric_names m ORDER BY j.key, n, m.id
    """,
    """
    INSERT INTO metric_sums (job, attempt, phase, metric, finite, total, low, high, last_step, last_value)
    SELECT job, attempt, 'training', metric, count(value), sum(value), min(value), max(value), max(step), max(value)
    FROM training_metrics GROUP BY job, attempt, metric
    """,
    """
    INSERT INTO metric_buckets (job, attempt, week, metric, bucket, low, low_step, high, high_step, finite, total,
                                first_at, last_at)
    SELECT job, attempt, date_trunc('week', received_at, 'UTC'), metric, step / 256, min(value), min(step), max(value),
           min(step), count(value), sum(value), min(at), max(at)
    FROM training_metrics GROUP BY job, attempt, 3, metric, 5
    """,
)


def fill(installation: Installation, jobs: int, metric_rows: int) -> float:
    """Make the jobs and their metrics; seconds it took."""
    started = time.perf_counter()
    parameters = {
        "jobs": jobs, "points": HISTORY_POINTS, "seconds": COURSE_SECONDS,
        "steps": metric_rows // (jobs * len(METRICS)), "metrics": list(METRICS),
        "progress": json.dumps(progress_json(_snapshot())),
    }  # fmt: skip
    with installation.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for statement in _FILL:
            connection.execute(text(statement), parameters)
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("RESET statement_timeout"))
    return time.perf_counter() - started


def _snapshot() -> Snapshot:
    """A training in its second epoch."""
    phases = tuple(PhaseSpec(name, name.title(), weight) for name, weight in (("initializing", 2), ("training", 98)))
    counters = (Counter("epoch", 1, 3), Counter("step", 456, 1000))
    return apply_all(
        Snapshot(),
        [
            PlanSet(1.0, phases),
            PhaseStarted(2.0, "initializing"),
            PhaseFinished(3.0, "initializing"),
            PhaseStarted(4.0, "training"),
            CountersMoved(5.0, "training", counters),
            MetricsLogged(6.0, 1456, dict.fromkeys(METRICS, 0.123456789)),
        ],
    )


def measure(address: str, path: str, ids: Sequence[str]) -> list[float]:
    """Milliseconds of each request, in order of size."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    headers = {"Authorization": "Bearer test-token"}
    chosen, half = random.Random(0), int(time.time() - COURSE_SECONDS / 2)
    found: list[float] = []
    for number in range(WARM_UP + REQUESTS):
        job_id, other = chosen.sample(ids, 2)
        started = time.perf_counter()
        connection.request("GET", path.format(id=job_id, other=other, since=half), headers=headers)
        response = connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - started) * 1e3
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {body[:500]!r}")
        if number >= WARM_UP:
            found.append(took)
    connection.close()
    return sorted(found)


def main() -> int:
    """Print the table; 1 when an aim is missed."""
    given = [int(argument) for argument in sys.argv[1:]]
    jobs, metric_rows = given if len(given) == 2 else (JOBS, METRIC_ROWS)
    console = Console()
    with embedded_installation(HEADWAY_LOG_LEVEL="warning") as installation:
        took = fill(installation, jobs, metric_rows)
        rows = installation.query("SELECT count(*) FROM training_metrics")[0][0]
        ids = [row[0] for row in installation.query("SELECT id FROM jobs")]
        console.print(
            f"{jobs} jobs, {rows:,} metric rows, {HISTORY_POINTS} points of history each; made in {took:.0f} s"
        )
        address = installation.start_api()
        before = os.getloadavg()[0]
        table = Table("view", "p50 ms", "p90 ms", "p99 ms", "max ms", "aim p99")
        missed = 0
        for name, path, aimed in VIEWS:
            found = measure(address, path, ids)
            p50, p90, p99 = statistics.median(found), found[int(len(found) * 0.9)], found[int(len(found) * 0.99)]
            missed += aimed and p99 >= AIM_P99_MS
            aim = f"< {AIM_P99_MS:g}" if aimed else ""
            table.add_row(name, *(f"{value:.2f}" for value in (p50, p90, p99, found[-1])), aim)
    console.print(table)
    console.print(f"load of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
