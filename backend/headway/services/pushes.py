"""What a committed drain pushes: the job's progress, new points, new lines, new checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.realtime.channels import Message, job_messages
from headway.services.feed import Drained, Feed
from headway.services.views import iso, job_json
from headway.storage.rows import Row

#: More points than this in one drain are not pushed: clients are told to read them over HTTP.
MOST_POINTS_PUSHED = 2000


def drain_messages(
    feed: Feed,
    row: Row,
    drained: Drained,
    lines: Sequence[dict[str, Any]],
    last_log: int,
    checkpoints: Sequence[dict[str, Any]],
) -> list[Message]:
    """All pushes of a drain; the feed still stands where the drain began."""
    messages = job_messages(job_json(row), feed.family)
    base = {"job_id": feed.job_id, "revision": row["revision"], "attempt": feed.attempt}
    if drained.batch.metrics:
        messages.append(_metrics_message(feed, drained, base))
    if lines:
        messages.append(_logs_message(feed, lines, last_log, base))
    for checkpoint in checkpoints:
        channel = f"trainings/{feed.job_id}/checkpoints"
        shown = checkpoint | {"created_at": iso(checkpoint["created_at"])}
        messages.append(
            Message(channel, "checkpoint:created", {"channel": channel, **base, "checkpoint": shown}, replaces=False)
        )
    return messages


def _metrics_message(feed: Feed, drained: Drained, base: dict[str, Any]) -> Message:
    channel = f"jobs/{feed.job_id}/metrics"
    few = sum(len(group.steps) for group in drained.batch.metrics) <= MOST_POINTS_PUSHED
    payload = {
        "channel": channel,
        **base,
        "from": feed.metrics_pushed_to,
        "to": drained.batch.end_offset,
        "points": _points(drained) if few else [],
        "reset": not few,
    }
    return Message(channel, "job:metrics", payload, replaces=False)


def _points(drained: Drained) -> list[dict[str, Any]]:
    series: dict[str, dict[str, Any]] = {}
    for group in drained.batch.metrics:
        width = len(group.names)
        for column, name in enumerate(group.names):
            points = series.setdefault(name, {"name": name, "steps": [], "values": []})
            points["steps"].extend(group.steps)
            points["values"].extend(_finite(value) for value in group.values[column::width])
    return list(series.values())


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None


def _logs_message(feed: Feed, lines: Sequence[dict[str, Any]], last_log: int, base: dict[str, Any]) -> Message:
    channel = f"jobs/{feed.job_id}/logs"
    first = last_log - len(lines) + 1
    items = [
        {"no": first + i, "at": iso(line["at"]), "level": line["level"], "text": line["text"], "attempt": feed.attempt}
        for i, line in enumerate(lines)
    ]
    return Message(channel, "job:logs", {"channel": channel, **base, "items": items}, replaces=False)
