"""Documents made from tables: `python -m headway.api.docs` writes docs/api/websocket-events.md, and
`python -m headway.api.docs openapi` prints the OpenAPI document."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import headway
from headway.api.openapi import document
from headway.api.routes import ROUTES
from headway.realtime.channels import CHANNELS, Channel
from headway.storage.hosts import WORKER_GONE_SECONDS

EVENTS_FILE = Path(headway.__file__).resolve().parents[2] / "docs" / "api" / "websocket-events.md"

_PAYLOADS = {
    "JobProgress": "`{channel, job_id, revision, job}`: the whole job object, as `GET /api/v1/jobs/{id}` gives it",
    "JobMetrics": "`{channel, job_id, revision, attempt, from, to, points: [{name, steps, values}], reset}`: "
    "a value that is not finite is null; with `reset` there were too many to push: read them over HTTP",
    "JobLogs": "`{channel, job_id, revision, attempt, items: [{no, at, level, text, attempt}]}`",
    "JobUsed": "`{channel, job_id, revision, used: {at, host, attempt, cpu_cores, memory_bytes, read_bytes_per_second, "
    "written_bytes_per_second, gpu_percent, gpu_memory_bytes, processes, estimated}}`: null where it is not told; "
    "`estimated` holds for the GPU figures",
    "SystemMetrics": "`{channel, revision, host, at, gauges: {key: value}}`, of a GPU also `gpu: {index, name, uuid, "
    "throttle_reasons, processes}`; keys are those of `GET /api/v1/system/current`, `revision` grows by host",
    "WorkersChanged": "`{channel, worker, host, change}`: `joined`, or `left`; a worker that went without a word has "
    f"left once it has not been seen for {WORKER_GONE_SECONDS} s; read `GET /api/v1/operations` again",
    "CheckpointCreated": "`{channel, job_id, revision, attempt, checkpoint}`",
}
_SNAPSHOTS = {
    "job": "the job object",
    "job_metrics": "`{names, cursor}`; `cursor` is, by attempt, the `to` of the last message that is in the curves "
    "of `GET /api/v1/jobs/{id}/metrics` now",
    "job_logs": "`{after, items, next}`: the number of the newest line, and the lines after `revision` if they are few",
    "job_used": "`{used}`: the last measurement, or null",
    "system": "`{items}`: the newest sample of each host, as `GET /api/v1/system/current` gives it, with the "
    "gauges of this channel",
    "gpu": "`{items}`: the newest sample of the GPU's host with the GPU's gauges",
    "operations": "`{items}`: the jobs that are under way or ended a short while ago",
    "none": "null",
}

_HEAD = """# Pushes: channels and events

Made from the channel table (`headway/realtime/channels.py`) by `python -m headway.api.docs`.

Socket.IO 4 at `/socket.io`, namespace `/`, WebSocket transport only (`transports: ["websocket"]`): no instance needs
stickiness; without a socket, poll the HTTP API. The handshake carries the token as `auth: {token}` or the cookie of a
signed-in browser; its origin must be the server's own or one of `HEADWAY_ALLOWED_ORIGINS`. A connection that does not
sign in within 10 seconds is dropped. The socket carries no commands: those are HTTP.

## Requests

| request | acknowledged with |
|---|---|
| `subscribe({channel, revision?})` | `{ok: true, channel, snapshot, reset}` or `{ok: false, error}` |
| `unsubscribe({channel})` | `{ok: true, channel}` or `{ok: false, error}` |

A client joins before its snapshot is read, so nothing falls between the two; it may hear what the snapshot already
holds. The newest `revision` wins: drop what is older than what you have. After a reconnect subscribe again and take the
snapshot. `revision` is what you hold (of logs: the last `no`; of metrics: the last `to`); `reset: true` says that the
server has less, because its history is gone: drop what you have. `docs/architecture/websocket-channels.md` tells how a
client stays whole; the dashboard's and the one in Python do all of it. A client may hold 200 subscriptions. One that
does not keep up is dropped, and so is every client of an instance that cannot hear Redis: reconnect, or poll until it
works.

## Channels

"""


def events_markdown() -> str:
    """The whole of docs/api/websocket-events.md."""
    used = {payload for channel in CHANNELS for payload in channel.events.values()}
    payloads = "\n".join(f"- `{name}`: {_PAYLOADS[name]}." for name in sorted(used))
    return _HEAD + "\n".join(_section(channel) for channel in CHANNELS) + f"\n## Payloads\n\n{payloads}\n"


def _section(channel: Channel) -> str:
    events = ", ".join(f"`{event}` ({payload})" for event, payload in channel.events.items())
    return (
        f"### `{channel.pattern}`\n\n{channel.description}\n\n- events: {events}\n- snapshot: "
        f"{_SNAPSHOTS[channel.snapshot]}\n- role: {channel.role}\n"
    )


def main() -> None:
    """Write the events' document, or print the OpenAPI document."""
    if sys.argv[1:] == ["openapi"]:
        sys.stdout.write(json.dumps(document(ROUTES), indent=2) + "\n")
        return
    EVENTS_FILE.parent.mkdir(parents=True, exist_ok=True)
    EVENTS_FILE.write_text(events_markdown())


if __name__ == "__main__":
    main()
