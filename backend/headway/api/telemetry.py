"""Prometheus metrics of one instance, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from sqlalchemy import Engine

from headway.storage import jobs, maintenance, queue
from headway.storage.engine import transaction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Counts what this instance does; jobs and queues are read from Postgres when somebody asks."""

    def __init__(self, clients: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "headway_request_duration_seconds",
            "Duration of requests by route, method and status.",
            ("route", "method", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        connected = Gauge("headway_socket_clients", "Socket.IO clients signed in here.", registry=self._registry)
        connected.set_function(clients)

    def render(self, engine: Engine) -> bytes:
        """The whole text. Raises UnavailableError when Postgres is away."""
        with transaction(engine) as connection:
            states, queues = jobs.state_counts(connection), queue.queue_lengths(connection)
            tasks = maintenance.task_totals(connection)
        work = CollectorRegistry()
        work.register(_Read([*_job_metrics(states, queues), *_maintenance_metrics(tasks)]))
        return generate_latest(self._registry) + generate_latest(work)


class _Read:
    """Metrics read already, for a registry to render."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _job_metrics(states: Mapping[str, int], queues: Iterable[Mapping[str, object]]) -> Iterable[Metric]:
    by_state = GaugeMetricFamily("headway_jobs", "Jobs by state.", labels=("state",))
    for state, count in states.items():
        by_state.add_metric((state,), count)
    yield by_state
    waiting = GaugeMetricFamily("headway_queue_jobs", "Jobs by queue, queued or running.", labels=("queue", "state"))
    for row in queues:
        for state in ("queued", "running"):
            waiting.add_metric((str(row["queue"]), state), float(str(row[state])))
    yield waiting


def _maintenance_metrics(tasks: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
    took = SummaryMetricFamily("headway_maintenance_duration_seconds", "Runs of periodic tasks.", labels=("task",))
    failed = CounterMetricFamily("headway_maintenance_failures", "Periodic tasks that failed.", labels=("task",))
    done = CounterMetricFamily("headway_maintenance_done", "What periodic tasks did.", labels=("task", "what"))
    last = GaugeMetricFamily("headway_maintenance_last_run_seconds", "When a task ran last (Unix).", labels=("task",))
    for row in tasks:
        task = str(row["task"])
        took.add_metric((task,), count_value=row["runs"], sum_value=row["seconds"])
        failed.add_metric((task,), row["failures"])
        if row["last_run_at"]:
            last.add_metric((task,), row["last_run_at"].timestamp())
        for what, count in row["counts"].items():
            done.add_metric((task, what), count)
    return (took, failed, done, last)
