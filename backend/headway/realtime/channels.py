"""The one table of channels: what each carries, from whom to whom. Docs and TypeScript types are made from it.

A client names a channel, never a raw room; a channel that is not in the table does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Role = Literal["viewer", "operator", "admin"]
Snapshot = Literal["job", "job_metrics", "job_logs", "job_used", "operations", "system", "gpu", "none"]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A family of channels: `pattern` with `{names}`, the events it carries, the role it needs, its snapshot."""

    pattern: str
    events: Mapping[str, str] = field(default_factory=dict[str, str])
    role: Role = "viewer"
    snapshot: Snapshot = "none"
    description: str = ""

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """Matches this family's channel names; ids hold no slash."""
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[A-Za-z0-9_.:-]{1,128})", re.escape(self.pattern)))


CHANNELS: tuple[Channel, ...] = (
    Channel(
        pattern="jobs/{id}/progress",
        events={"job:progress": "JobProgress"},
        snapshot="job",
        description="The whole progress of one job, at each change.",
    ),
    Channel(
        pattern="jobs/{id}/metrics",
        events={"job:metrics": "JobMetrics"},
        snapshot="job_metrics",
        description="New metric points, complete and in order: `from` is the `to` of the message before.",
    ),
    Channel(
        pattern="jobs/{id}/logs",
        events={"job:logs": "JobLogs"},
        snapshot="job_logs",
        description="New log lines, numbered without gaps.",
    ),
    Channel(
        pattern="trainings/{id}/progress",
        events={
            "training:progress": "JobProgress",
            "training:completed": "JobProgress",
            "training:failed": "JobProgress",
        },
        snapshot="job",
        description="Progress of a job that trains.",
    ),
    Channel(
        pattern="trainings/{id}/checkpoints",
        events={"checkpoint:created": "CheckpointCreated"},
        description="Each checkpoint once it is whole.",
    ),
    Channel(
        pattern="models/{id}/progress",
        events={"model:progress": "JobProgress"},
        snapshot="job",
        description="Progress of a job that brings a model.",
    ),
    Channel(
        pattern="models/{id}/extraction",
        events={"extraction:progress": "JobProgress"},
        snapshot="job",
        description="Progress of a job that extracts activations.",
    ),
    Channel(
        pattern="datasets/{id}/progress",
        events={"dataset:progress": "JobProgress"},
        snapshot="job",
        description="Progress of a job that brings or tokenizes a dataset.",
    ),
    Channel(
        pattern="operations",
        events={"job:changed": "JobProgress", "workers:changed": "WorkersChanged"},
        snapshot="operations",
        description="Every change of every job, and each worker that comes or goes.",
    ),
    Channel(
        pattern="jobs/{id}/resources",
        events={"job:resources": "JobUsed"},
        snapshot="job_used",
        description="What the job's processes use, each time they are measured.",
    ),
    Channel(
        pattern="system/gpu/{gpu_id}",
        events={"system:metrics": "SystemMetrics"},
        snapshot="gpu",
        description="One GPU when measured; its id is `{host}:{index}`, or `{index}` while there is one host.",
    ),
    Channel(
        pattern="system/cpu",
        events={"system:metrics": "SystemMetrics"},
        snapshot="system",
        description="Cores and load of every host, one message a host.",
    ),
    Channel(
        pattern="system/memory",
        events={"system:metrics": "SystemMetrics"},
        snapshot="system",
        description="RAM and swap of every host, one message a host.",
    ),
    Channel(
        pattern="system/disk",
        events={"system:metrics": "SystemMetrics"},
        snapshot="system",
        description="Disk traffic and space of every host, one message a host.",
    ),
    Channel(
        pattern="system/network",
        events={"system:metrics": "SystemMetrics"},
        snapshot="system",
        description="Network traffic of every host, one message a host.",
    ),
)


@dataclass(frozen=True, slots=True)
class Message:
    """One push: to the subscribers of `channel`. `replaces` says that only the newest of its kind counts."""

    channel: str
    event: str
    payload: Mapping[str, Any]
    replaces: bool = True


def find_channel(name: str) -> tuple[Channel, dict[str, str]] | None:
    """The family a channel name belongs to and the names in it; None when there is no such channel."""
    for channel in CHANNELS:
        match = channel.expression.fullmatch(name)
        if match:
            return channel, match.groupdict()
    return None


#: A job family -> its own channel and the events of it by the job's state (`""`: every other state).
FAMILY_PROGRESS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "trainings": (
        "trainings/{id}/progress",
        {"": "training:progress", "completed": "training:completed", "failed": "training:failed"},
    ),
    "models": ("models/{id}/progress", {"": "model:progress"}),
    "extractions": ("models/{id}/extraction", {"": "extraction:progress"}),
    "datasets": ("datasets/{id}/progress", {"": "dataset:progress"}),
}


def job_messages(job: Mapping[str, Any], family: str | None) -> list[Message]:
    """The pushes that tell a job's change; `job` is the job object as HTTP gives it."""
    base = {"job_id": job["id"], "revision": job["revision"], "job": job}
    targets = [(f"jobs/{job['id']}/progress", "job:progress"), ("operations", "job:changed")]
    if family is not None and family in FAMILY_PROGRESS:
        pattern, events = FAMILY_PROGRESS[family]
        targets.append((pattern.format(id=job["id"]), events.get(str(job["state"]), events[""])))
    return [Message(channel, event, {"channel": channel, **base}) for channel, event in targets]


def worker_message(worker_id: str, host: str, change: Literal["joined", "left"]) -> Message:
    """The push that tells of a worker's coming or going."""
    payload = {"channel": "operations", "worker": worker_id, "host": host, "change": change}
    return Message("operations", "workers:changed", payload, replaces=False)
