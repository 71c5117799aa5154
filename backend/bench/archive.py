"""The archive of metrics at size: `python backend/bench/archive.py [rows]`.

10 million points over 16 weeks in an embedded Postgres, stored by the drain's own code; then everything that is due is
archived while a writer goes on, read over HTTP by a real client before and after, and restored. Exit code 1 when an aim
is missed.
"""

from __future__ import annotations

import http.client
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.services import embedded_installation
from headway.services.archive_metrics import archive_metrics, restore_metrics
from headway.spool.reader import MetricRows
from headway.storage import metrics as metric_store
from headway.storage.archive import stored_weeks
from headway.storage.engine import make_engine, transaction
from headway.storage.partitions import WEEK, week_start
from tests.installation import Installation

ROWS, WEEKS = 10_000_000, 16
CURVE, LONG = 20_000, 1_000_000
METRICS = ("loss", "accuracy", "grad_norm", "lr", "rows_per_s")
A_DRAIN = 2000
WARM_UP, REQUESTS = 20, 200
WRITER_PAUSE_SECONDS = 0.01
SPIKE_EVERY = 9973
LONG_WEEKS = range(2, 6)

_JOB = text(
    "INSERT INTO jobs (id, kind, name, state, queue, config, attempt) "
    "VALUES (:id, 'sae.train', :id, 'running', 'cpu', '{}', 1) RETURNING key"
)
_ATTEMPT = text(
    "INSERT INTO attempts (job_id, number, lease_owner, host, started_at, drained_at, spool_offset, resumed_from_step) "
    "VALUES (:id, 1, 'bench', 'bench', :began, :drained, 1, -1)"
)


@dataclass
class Found:
    """The table's rows: what, measured, aim, whether it was met."""

    rows: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str, aim: float | None = None) -> None:
        """A figure; the aim is the most it may be."""
        shown = "" if aim is None else f"≤ {aim:g} {unit}"
        self.rows.append((what, f"{value:.1f} {unit}", shown, aim is None or value <= aim))

    def add_fact(self, what: str, holds: bool) -> None:
        """Something that must be so."""
        self.rows.append((what, "yes" if holds else "NO", "yes", holds))


def add_job(connection: Connection, job_id: str, began: datetime, drained: datetime) -> int:
    """A job with one attempt that was drained within these times; its key."""
    key = connection.execute(_JOB, {"id": job_id}).scalar_one()
    connection.execute(_ATTEMPT, {"id": job_id, "began": began, "drained": drained})
    return int(key)


def drain(connection: Connection, key: int, names: tuple[str, ...], steps: range, received_at: datetime) -> None:
    """Store points as a drain does. Each SPIKE_EVERY-th step stands out."""
    ids = metric_store.metric_ids(connection, names)
    metric_store.note_job_metrics(connection, key, 1, ids.values())
    values = [value_at(step) for step in steps for _ in names]
    at = received_at.timestamp()
    rows = [MetricRows(names, list(steps), [at] * len(steps), values)]
    metric_store.append(connection, job_key=key, attempt=1, rows=rows, ids=ids, received_at=received_at)


def value_at(step: int) -> float:
    """A curve that falls, with single steps that stick out far."""
    return 1000.0 + step if step % SPIKE_EVERY == SPIKE_EVERY // 2 else 1 / (1 + step / 1000)


def fill(installation: Installation, rows: int) -> float:
    """Make the jobs and their points; seconds it took."""
    started = time.perf_counter()
    this_week = week_start(datetime.now(UTC))
    weeks = [this_week - number * WEEK for number in range(WEEKS - 1, -1, -1)]
    with transaction(installation.engine) as connection:
        key = add_job(connection, "longjob", weeks[LONG_WEEKS[0]], weeks[LONG_WEEKS[-1]] + timedelta(hours=2))
    for first in range(0, LONG, A_DRAIN):
        week = weeks[LONG_WEEKS[first * len(LONG_WEEKS) // LONG]]
        with transaction(installation.engine) as connection:
            drain(connection, key, ("loss",), range(first, first + A_DRAIN), week + timedelta(hours=1))
    points = CURVE * len(METRICS)
    for number in range((rows - LONG) // points):
        week = weeks[number % WEEKS]
        with transaction(installation.engine) as connection:
            key = add_job(connection, f"job{number:05}", week, week + timedelta(hours=1))
        for first in range(0, CURVE, A_DRAIN):
            with transaction(installation.engine) as connection:
                drain(connection, key, METRICS, range(first, first + A_DRAIN), week + timedelta(minutes=1))
    took = time.perf_counter() - started
    with installation.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("RESET statement_timeout"))
    return took


class Client:
    """One kept-alive connection to the API."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)

    def get(self, path: str) -> bytes:
        """The body of an answer."""
        self._connection.request("GET", path, headers={"Authorization": "Bearer test-token"})
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {body[:500]!r}")
        return body

    def timed(self, path: str) -> list[float]:
        """Milliseconds of each warm request, in order of size."""
        found: list[float] = []
        for number in range(WARM_UP + REQUESTS):
            started = time.perf_counter()
            self.get(path)
            found += [(time.perf_counter() - started) * 1e3] if number >= WARM_UP else []
        return sorted(found)


@contextmanager
def writing(installation: Installation) -> Iterator[list[float]]:
    """A writer that drains a live job while the block lasts; the seconds each of its transactions took."""
    engine = make_engine(installation.settings.headway_database_url or "", pool_size=1)
    waits: list[float] = []
    over = threading.Event()
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        key = add_job(connection, f"live{time.monotonic_ns() % 10**8}", now, now)

    def write() -> None:
        step = 0
        while not over.wait(WRITER_PAUSE_SECONDS):
            started = time.perf_counter()
            with transaction(engine) as connection:
                drain(connection, key, METRICS, range(step, step + 20), datetime.now(UTC))
            waits.append(time.perf_counter() - started)
            step += 20

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            yield waits
        finally:
            over.set()
            writer.result(60)
            engine.dispose()


def timed(act: Callable[[], object]) -> float:
    """Seconds it took."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def keeps_every_spike(body: bytes) -> bool:
    """Whether the thinned curve has, of each bucket that holds spikes, the greatest."""
    import json

    series = json.loads(body)["series"][0]
    shown = dict(zip(series["steps"], series["values"], strict=True))
    spikes = [step for step in range(LONG) if step % SPIKE_EVERY == SPIKE_EVERY // 2]
    return all(shown.get(step) == value_at(step) for step in spikes)


def measure(client: Client, found: Found, when: str) -> dict[str, bytes]:
    """Time both curves over HTTP; their bodies."""
    curve = f"/api/v1/jobs/job00000/metrics?names=loss&max_points={CURVE}"
    long = "/api/v1/jobs/longjob/metrics?names=loss&max_points=2000"
    for what, path, aim in ((f"curve of {CURVE:,} points", curve, 10.0), (f"1000 buckets of {LONG:,}", long, 20.0)):
        times = client.timed(path)
        found.add(f"{what}, {when}: p50", statistics.median(times), "ms", aim)
        found.add(f"{what}, {when}: p99", times[math.floor(len(times) * 0.99)], "ms")
    found.add_fact(f"every spike of a single step is in the thinned curve, {when}", keeps_every_spike(client.get(long)))
    whole = "/api/v1/jobs/longjob/metrics?names=loss&from_step=400000&to_step=499999&max_points=100000"
    return {path: client.get(path) for path in (curve, long, whole)}


def main() -> int:
    """Print the table; 1 when an aim is missed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    console, found = Console(), Found()
    with embedded_installation(HEADWAY_LOG_LEVEL="warning") as installation:
        took = fill(installation, rows)
        stored = installation.query("SELECT count(*) FROM training_metrics")[0][0]
        buckets, size = installation.query(
            "SELECT count(*), pg_total_relation_size('metric_buckets') FROM metric_buckets"
        )[0]
        console.print(f"{stored:,} points over {WEEKS} weeks, stored in {took:.0f} s by drains of {A_DRAIN} steps")
        console.print(f"{buckets:,} buckets, {size / 1e6:.0f} MB")
        client = Client(installation.start_api())
        load = os.getloadavg()[0]
        before = measure(client, found, "live")
        with writing(installation) as waits:
            done = None
            started = time.perf_counter()
            done = archive_metrics(installation.engine, 30, 0)
            seconds = time.perf_counter() - started
        found.add(f"archive {len(done.archived)} weeks that are due", seconds, "s", 5.0)
        found.add(f"longest of {len(waits)} writes meanwhile", max(waits), "s", 2.0)
        after = measure(client, found, "archived")
        found.add_fact("curves after archiving are the same, byte for byte", before == after)
        days = (done.archived[0], done.archived[-1], datetime.now(UTC).date() + timedelta(days=2))
        with writing(installation) as waits:
            seconds = timed(lambda: restore_metrics(installation.engine, *days))
        with transaction(installation.engine) as connection:
            left = sum(week.archived for week in stored_weeks(connection))
        found.add(f"restore {len(done.archived)} weeks", seconds, "s")
        found.add(f"longest of {len(waits)} writes meanwhile", max(waits), "s", 2.0)
        found.add_fact(
            "everything is live again, the curves the same",
            left == 0 and all(client.get(path) == body for path, body in before.items()),
        )
    table = Table("what", "measured", "aim", "met")
    for what, value, aim, met in found.rows:
        table.add_row(what, value, aim, "" if not aim else "yes" if met else "NO")
    console.print(table)
    console.print(f"load of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")
    return 0 if all(met for *_, met in found.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
