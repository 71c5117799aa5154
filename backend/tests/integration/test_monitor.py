"""The monitor in real workers: every host measured, each job's use its own, history rolled up, nothing piles up."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psutil
import pytest
from redis import Redis
from sqlalchemy import text

from headway.bootstrap import push_topic, realtime_redis_url
from headway.services import read_samples, record_samples
from headway.services.control_job import cancel_job
from headway.services.read_samples import HostSpan, Span
from headway.storage import samples as store
from headway.storage.engine import transaction
from tests.installation import Installation, open_installation, wait_until

INTERVAL = 0.5
CHANGED = "workers:changed"


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, SYSTEM_MONITOR_INTERVAL_SECONDS=str(INTERVAL)) as opened:
        opened.start_worker("system", beat=True, HEADWAY_HOST_NAME="alder")
        opened.start_worker("cpu", HEADWAY_HOST_NAME="birch")
        yield opened


def raw_samples(installation: Installation, host: str) -> int:
    return installation.query("SELECT count(*) FROM host_samples WHERE host = %s AND seconds = 0", host)[0][0]


def test_every_host_with_a_worker_is_measured_whatever_its_queues(installation: Installation) -> None:
    for host in ("alder", "birch"):
        wait_until(lambda host=host: raw_samples(installation, host) >= 3, what=f"samples of {host}")
    now = read_samples.read_current(installation.engine, INTERVAL)
    assert [item.host for item in now.items] == ["alder", "birch"]
    for item in now.items:
        assert item.gauges["memory.total_bytes"] > item.gauges["memory.used_bytes"] > 0
        assert 0 <= item.gauges["cpu.percent"] <= 100
        assert item.gauges["disk.total_bytes:/"] >= item.gauges["disk.used_bytes:/"]
        assert item.gpu_report.state in ("ok", "none")
    history = read_samples.read_history(installation.engine, HostSpan(gauges="cpu.percent,memory"))
    assert [host.host for host in history.items] == ["alder", "birch"]
    assert {series.gauge.partition(".")[0] for series in history.items[0].series} == {"cpu", "memory"}


def used_by(truth: list[tuple[float, float]], moment: float) -> float:
    """CPU seconds at a moment, between the two times nearest to it at which they were looked at."""
    (start, low), (end, high) = next(pair for pair in pairwise(truth) if pair[1][0] >= moment)
    return low + (high - low) * (moment - start) / (end - start)


def test_job_that_burns_one_core_and_500_mb_is_shown_with_one_core_and_500_mb(installation: Installation) -> None:
    config = {"steps": 100_000, "step_seconds": 0.02, "memory_mb": 500, "checkpoint_every": 0}
    job_id = installation.submit(config=config)
    try:
        installation.wait(job_id, lambda job: job.phase == "working")
        process = psutil.Process(installation.process_group(job_id))
        since, truth = datetime.now(UTC), []

        def measured() -> read_samples.JobResources:
            truth.append((time.time(), sum(process.cpu_times()[:2])))
            return read_samples.read_job_resources(installation.engine, job_id, Span(**{"from": since}))

        wait_until(lambda: len(measured().times) >= 12, what="a dozen samples at work")
        resources = measured()
        series = {item.gauge: item.values for item in resources.series}
        cores, times = series["cpu_cores"], resources.times
        shown = sum(value * (end - start) for value, (start, end) in zip(cores[1:], pairwise(times), strict=True))
        # a crowded machine gives it less than the core it wants: what it got is what must be shown
        assert shown == pytest.approx(used_by(truth, times[-1]) - used_by(truth, times[0]), rel=0.1)
        assert shown / (times[-1] - times[0]) < 1.1
        assert series["memory_bytes"][-1] == pytest.approx(500 * 2**20, rel=0.1)
        assert not resources.estimated
        assert [attempt.host for attempt in resources.attempts] == ["birch"]
        used = installation.job(job_id).resources["used"]
        assert (used["host"], used["estimated"]) == ("birch", False)
        assert used["memory_bytes"] == pytest.approx(500 * 2**20, rel=0.1)
    finally:
        cancel_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "cancelled")


def test_ticks_do_not_pile_up_while_a_worker_is_stopped(installation: Installation) -> None:
    worker = installation.workers[1]
    wait_until(lambda: raw_samples(installation, "birch") >= 1, what="a sample")
    beats = raw_samples(installation, "alder")
    worker.send_signal(signal.SIGSTOP)
    try:
        before = raw_samples(installation, "birch")
        wait_until(lambda: raw_samples(installation, "alder") >= beats + 12, what="a dozen ticks meanwhile")
    finally:
        worker.send_signal(signal.SIGCONT)
    ticks = raw_samples(installation, "alder")
    wait_until(lambda: raw_samples(installation, "alder") >= ticks + 4, what="ticks after it")
    wait_until(lambda: raw_samples(installation, "birch") > before, what="going on")
    extra = raw_samples(installation, "birch") - before - (raw_samples(installation, "alder") - ticks)
    # had ticks piled up, the dozen of the pause would have been measured besides those of its own time
    assert extra <= 4, "the tick that waited, and those that were on their way while it was counted"


def test_ticks_never_wait_behind_jobs(installation: Installation) -> None:
    jobs = [installation.submit(config={"steps": 400, "step_seconds": 0.001, "rest_seconds": 0.004}) for _ in range(4)]
    installation.wait(jobs[1], lambda job: job.state == "running")
    before = raw_samples(installation, "birch")
    wait_until(lambda: raw_samples(installation, "birch") >= before + 3, timeout=60, what="samples of a busy worker")
    assert installation.job(jobs[3]).state in ("queued", "running"), "all slots were taken meanwhile"
    for job in jobs:
        installation.wait_state(job, "completed")


def fill(installation: Installation, host: str, start: datetime, seconds: int, every: int) -> None:
    with transaction(installation.engine) as connection:
        connection.execute(
            text("INSERT INTO hosts (name, cpus, memory_mb) VALUES (:h, 1, 1) ON CONFLICT DO NOTHING"), {"h": host}
        )
        connection.execute(
            text("""INSERT INTO host_samples (host, seconds, at, gauges)
                    SELECT :h, 0, CAST(:start AS timestamptz) + make_interval(secs => n),
                           jsonb_build_object('cpu.percent', n % 60, 'memory.used_bytes', 7)
                    FROM generate_series(0, :seconds, :every) AS n"""),
            {"h": host, "start": start, "seconds": seconds - 1, "every": every},
        )


def rows_of(installation: Installation, host: str, seconds: int) -> list[tuple[Any, ...]]:
    statement = "SELECT at, gauges, peaks FROM host_samples WHERE host = %s AND seconds = %s ORDER BY at"
    return installation.query(statement, host, seconds)


def test_roll_up_keeps_mean_and_peak_and_forgets_what_is_past_its_time(installation: Installation) -> None:
    now = datetime.now(UTC)
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    fill(installation, "roller", start, 3 * 3600, 2)
    for _ in range(2):  # idempotent
        record_samples.roll_up(installation.engine)
    minutes, quarters = rows_of(installation, "roller", 60), rows_of(installation, "roller", 900)
    assert len(minutes) == 180
    assert (minutes[0][1]["cpu.percent"], minutes[0][2]["cpu.percent"]) == (29, 58)
    assert len(quarters) == 12
    assert (quarters[0][1], quarters[0][2]) == (
        {"cpu.percent": 29, "memory.used_bytes": 7},
        {"cpu.percent": 58, "memory.used_bytes": 7},
    )
    kept = [row[0] for row in rows_of(installation, "roller", 0)]
    assert all(at > now - timedelta(seconds=store.LEVELS[0].kept_seconds) for at in kept)
    fill(installation, "roller", now - timedelta(days=40), 60, 2)
    record_samples.roll_up(installation.engine)
    oldest = rows_of(installation, "roller", 900)[0][0]
    assert oldest >= start, "past 30 days there is nothing"


def test_history_takes_the_finest_samples_that_reach_back_far_enough(installation: Installation) -> None:
    now = datetime.now(UTC)
    for age, resolution in ((timedelta(minutes=59), 0), (timedelta(hours=3), 60), (timedelta(days=2), 900)):
        span = HostSpan(**{"from": now - age, "host": "roller"})
        history = read_samples.read_history(installation.engine, span).items[0]
        assert history.resolution_seconds == resolution
        assert all(len(series.values) == len(history.times) for series in history.series)


def test_long_job_keeps_a_bounded_number_of_samples_with_true_means(installation: Installation) -> None:
    job_id = installation.submit(config={"steps": 1})
    installation.wait_state(job_id, "completed")
    with transaction(installation.engine) as connection:
        connection.execute(text("DELETE FROM job_samples WHERE job_id = :id"), {"id": job_id})
        connection.execute(
            text("""INSERT INTO job_samples (job_id, at, attempt, host, cpu_cores, memory_bytes, processes, estimated)
                    SELECT :id, now() + make_interval(secs => n * 2), 1, 'h', n % 2, n, 1, false
                    FROM generate_series(1, 2000) AS n"""),
            {"id": job_id},
        )
        connection.execute(text("UPDATE jobs SET state = 'running', percent_bp = 1 WHERE id = :id"), {"id": job_id})
        store.merge_long_jobs(connection)
        rows = store.job_samples(connection, job_id, None, None)
        connection.execute(
            text("UPDATE jobs SET state = 'completed', percent_bp = 10000 WHERE id = :id"), {"id": job_id}
        )
    assert len(rows) <= store.MOST_JOB_SAMPLES // 2
    assert max(row["memory_bytes"] for row in rows) == 2000
    merged = installation.query(
        "SELECT sum(merged), sum(cpu_cores * merged) FROM job_samples WHERE job_id = %s", job_id
    )
    assert merged[0] == (2000, pytest.approx(1000))


def test_another_worker_of_the_host_measures_once_the_first_is_gone(installation: Installation) -> None:
    other = installation.start_worker("io", HEADWAY_HOST_NAME="alder")
    lead = "SELECT sampler FROM hosts WHERE name = 'alder'"
    first = installation.query(lead)[0][0]
    second = installation.start_worker("io", HEADWAY_HOST_NAME="birch")
    held = wait_until(
        lambda: installation.query("SELECT sampler FROM hosts WHERE name = 'birch'")[0][0], what="a lease"
    )
    installation.kill_worker(installation.workers[1])
    wait_until(
        lambda: installation.query("SELECT sampler FROM hosts WHERE name = 'birch'")[0][0] not in (None, held),
        what="another sampler",
    )
    assert installation.query(lead)[0][0] == first
    assert other.poll() is second.poll() is None


def test_workers_that_come_and_go_are_pushed(installation: Installation) -> None:
    with Redis.from_url(realtime_redis_url(installation.settings)) as client, client.pubsub() as pubsub:
        pubsub.subscribe(push_topic(installation.engine))

        def is_told(host: str, change: str) -> bool:
            # all that has come at once: there are more gauges a second than looks
            while message := pubsub.get_message(ignore_subscribe_messages=True, timeout=1):
                told = json.loads(message["data"]) if message["data"].startswith(b"{") else {}
                changed = told["data"][0] if told.get("event") == CHANGED else {}
                if (changed.get("host"), changed.get("change")) == (host, change):
                    return True
            return False

        worker = installation.start_worker("io", HEADWAY_HOST_NAME="cedar")
        wait_until(lambda: is_told("cedar", "joined"), what="its coming")
        worker.terminate()
        worker.wait(timeout=60)
        installation.workers.remove(worker)
        # even if it was still starting: it is struck off by itself, not by who misses it half a minute later
        assert not installation.query("SELECT 1 FROM workers WHERE host = 'cedar'")
        wait_until(lambda: is_told("cedar", "left"), what="its going")
        killed = installation.start_worker("io", HEADWAY_HOST_NAME="elder")
        wait_until(lambda: is_told("elder", "joined"), what="another's coming")
        installation.kill_worker(killed)
        # as if it had been silent for longer than a worker may be
        installation.query("UPDATE workers SET last_seen_at = now() - interval '1 hour' WHERE host = 'elder'")
        wait_until(lambda: is_told("elder", "left"), what="that it was missed")
