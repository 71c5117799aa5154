"""Read the hosts and their workers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Engine

from headway.services.views import Moment, View
from headway.storage import hosts as host_store
from headway.storage.engine import transaction
from headway.storage.rows import Row


class WorkerView(View):
    """A worker process that was seen lately."""

    id: str
    pid: int
    slots: dict[str, int]


class HostView(View):
    """A machine with workers; `slots` adds up those of its living workers."""

    name: str
    last_seen_at: Moment
    age_seconds: float
    cpus: int
    memory_mb: int
    gpus: list[dict[str, Any]]
    slots: dict[str, int]
    workers: list[WorkerView]


class HostsView(View):
    """Every machine that ever had a worker."""

    items: list[HostView]


def list_hosts(engine: Engine) -> HostsView:
    """All hosts with their living workers."""
    with transaction(engine) as connection:
        rows = host_store.list_hosts(connection)
    return HostsView(items=[host_view(row) for row in rows])


def host_view(row: Row) -> HostView:
    """The host of a row of `storage.hosts`."""
    workers = [WorkerView(**worker) for worker in row["workers"]]
    slots: Counter[str] = Counter()
    for worker in workers:
        slots.update(worker.slots)
    return HostView.model_validate(row | {"workers": workers, "slots": dict(slots)})
