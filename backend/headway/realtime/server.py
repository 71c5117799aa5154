"""The Socket.IO server of an API instance: subscriptions by channel name, answered with the snapshot. No commands.

WebSocket only. Clients, subscriptions, requests under way and unsent messages are bounded; a client that cannot keep up
is dropped, comes back and takes the snapshot. What it needs from the layers above (who may come in, snapshots) is
handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import socketio
import structlog
from aiohttp import web
from socketio.exceptions import ConnectionRefusedError

from headway.errors import HeadwayError, UnavailableError
from headway.realtime.channels import Channel, Role, Snapshot, find_channel
from headway.realtime.cluster import Cluster, TextPacket
from headway.realtime.connections import cut
from headway.realtime.shared_reads import SharedReads

PATH = "/socket.io/"
MOST_SUBSCRIPTIONS = 200
MOST_REQUESTS_AT_ONCE = 32
MOST_UNSENT_ANSWERS = 500
SIGN_IN_SECONDS = 10.0
DEAF_SECONDS = 1.0
_SIGNED_IN = web.RequestKey("signed_in", bool)
_RANK: Mapping[str, int] = {"viewer": 1, "operator": 2, "admin": 3}

#: The snapshot of a channel, the names in it, and what the client holds of it where that counts (0: nothing).
#: Raises HeadwayError for a channel of something that is not there.
SnapshotReader = Callable[[Channel, Mapping[str, str], int], Awaitable[Any]]
#: Who stands behind a handshake (its request and its `auth`), or None.
Authenticator = Callable[[web.Request, Any], Awaitable["Visitor | None"]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who connects: the role, and which named token it comes from (None: one that cannot be revoked)."""

    role: Role
    token_id: str | None = None


@dataclass(slots=True)
class _Client:
    visitor: Visitor
    request: web.Request
    channels: set[str] = field(default_factory=set[str])
    requests: int = 0


class PushServer:
    """Takes the handshakes at PATH and answers `subscribe` and `unsubscribe`."""

    def __init__(
        self,
        *,
        redis_url: str,
        find_topic: Callable[[], Awaitable[str]],
        read_snapshot: SnapshotReader,
        authenticate: Authenticator,
        max_clients: int,
        max_request_bytes: int,
        compression: bool,
        on_push: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._read_snapshot = read_snapshot
        self._reads = SharedReads()
        self._authenticate = authenticate
        self._max_clients = max_clients
        self._compression = compression
        self._clients: dict[str, _Client] = {}
        self._requests: dict[int, web.Request] = {}
        self.cluster = Cluster(redis_url, find_topic, compression=compression, on_deaf=self.drop_all, on_push=on_push)
        self._server = _SocketServer(
            async_mode="aiohttp",
            client_manager=self.cluster,
            serializer=TextPacket,
            transports=["websocket"],
            # origins are checked where all others are, before the handshake
            cors_allowed_origins=[],
            max_http_buffer_size=max_request_bytes,
            ping_interval=10,
            ping_timeout=10,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("subscribe", self._subscribe)
        self._server.on("unsubscribe", self._unsubscribe)
        self._server.on("*", self._unknown)

    @property
    def clients(self) -> int:
        """How many are signed in."""
        return len(self._clients)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A handshake, and the connection for as long as it lives. Raises UnavailableError when full or deaf."""
        if len(self._requests) >= self._max_clients:
            raise UnavailableError("Too many clients are connected (HEADWAY_MAX_CLIENTS); poll meanwhile.")
        if not await self.cluster.hears(DEAF_SECONDS):
            # better no socket than a silent one: the client polls until pushes flow again
            raise UnavailableError("Redis cannot be reached, so nothing can be pushed; poll meanwhile.")
        if not self._compression:
            # without the offer there is no compression: engineio has no switch for it
            headers = request.headers.copy()
            headers.popall("Sec-WebSocket-Extensions", None)
            request = request.clone(headers=headers)
        self._requests[id(request)] = request
        overdue = asyncio.get_running_loop().call_later(SIGN_IN_SECONDS, _drop_stranger, request)
        try:
            return await self._server.handle_request(request)
        finally:
            overdue.cancel()
            del self._requests[id(request)]

    def start(self) -> None:
        """Begin to listen; call it with the event loop running."""
        self._server.manager_initialized = True
        self.cluster.initialize()

    async def drop_all(self) -> None:
        """Cut every client off: each comes back by itself and takes its snapshots anew."""
        for request in tuple(self._requests.values()):
            cut(request)

    def token_ids(self) -> set[str]:
        """The named tokens that clients are signed in with."""
        return {client.visitor.token_id for client in self._clients.values() if client.visitor.token_id}

    def drop_token(self, token_id: str) -> None:
        """Cut off everybody who came with a token that holds no more."""
        for client in tuple(self._clients.values()):
            if client.visitor.token_id == token_id:
                cut(client.request)

    async def close(self) -> None:
        """End every connection and stop listening."""
        await self.drop_all()
        await self._server.shutdown()
        await self.cluster.close()

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        request: web.Request = environ["aiohttp.request"]
        visitor = await self._authenticate(request, auth)
        if visitor is None:
            raise ConnectionRefusedError("unauthorized: sign in, or send a valid token as `auth`")
        request[_SIGNED_IN] = True
        self._clients[sid] = _Client(visitor, request)

    async def _disconnect(self, sid: str, reason: str) -> None:
        self._clients.pop(sid, None)

    async def _subscribe(self, sid: str, data: Any = None, *_: Any) -> dict[str, Any]:
        client = self._clients.get(sid)
        if client is None:
            return _refused("not signed in")
        if client.requests >= MOST_REQUESTS_AT_ONCE:
            return _refused(f"more than {MOST_REQUESTS_AT_ONCE} requests at once: wait for the answers")
        client.requests += 1
        try:
            return await self._join(sid, client, data)
        finally:
            client.requests -= 1

    async def _join(self, sid: str, client: _Client, data: Any) -> dict[str, Any]:
        name = _channel_name(data)
        found = find_channel(name) if name else None
        if name is None or found is None:
            return _refused(f"there is no channel {name!r}: send {{channel: 'jobs/<id>/progress'}}")
        channel, names = found
        if _RANK[client.visitor.role] < _RANK[channel.role]:
            return _refused(f"{name} needs the role {channel.role}; this token has {client.visitor.role}")
        if name not in client.channels and len(client.channels) >= MOST_SUBSCRIPTIONS:
            return _refused(f"more than {MOST_SUBSCRIPTIONS} subscriptions: unsubscribe from some")
        # first the room, then the snapshot: nothing can fall between them
        client.channels.add(name)
        await self._server.enter_room(sid, name)
        try:
            held = _held(data)
            since = held if channel.snapshot in _TOLD_SINCE else 0
            snapshot = await self._reads.read((name, since), partial(self._read_snapshot, channel, names, since))
            return {"ok": True, "channel": name, "snapshot": snapshot, "reset": _is_behind(channel, snapshot, held)}
        except HeadwayError as error:
            await self._leave(sid, client, name)
            return _refused(str(error))
        except Exception:
            await self._leave(sid, client, name)
            log.exception("no snapshot", channel=name)
            return _refused("the snapshot could not be read; try again")

    async def _unsubscribe(self, sid: str, data: Any = None, *_: Any) -> dict[str, Any]:
        client, name = self._clients.get(sid), _channel_name(data)
        if client is None or name is None or name not in client.channels:
            return _refused(f"not subscribed to {name!r}")
        await self._leave(sid, client, name)
        return {"ok": True, "channel": name}

    async def _leave(self, sid: str, client: _Client, name: str) -> None:
        client.channels.discard(name)
        await self._server.leave_room(sid, name)

    async def _unknown(self, event: str, sid: str, *_: Any) -> dict[str, Any]:
        return _refused(f"there is no event {event[:40]!r}; there are subscribe and unsubscribe")


class _SocketServer(socketio.AsyncServer):
    """Cuts off a client whose queue is full, so that it holds back no other; the library's queue has no end."""

    async def _send_eio_packet(self, eio_sid: str, eio_pkt: Any) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and socket.queue.qsize() >= MOST_UNSENT_ANSWERS:
            log.warning("a slow client was dropped", unsent=MOST_UNSENT_ANSWERS)
            cut(self.environ[eio_sid]["aiohttp.request"])
            return
        await super()._send_eio_packet(eio_sid, eio_pkt)


def _channel_name(data: Any) -> str | None:
    name = data.get("channel") if isinstance(data, dict) else None
    return name if isinstance(name, str) and len(name) <= 300 else None


def _held(data: Mapping[str, Any]) -> int:
    """What the client says it holds of the channel; 0 for nothing."""
    held = data.get("revision")
    return max(0, held) if isinstance(held, int) else 0


def _is_behind(channel: Channel, snapshot: Any, held: int) -> bool:
    """Whether the client holds more than there is: its history is gone."""
    return channel.snapshot in _REVISIONS and _REVISIONS[channel.snapshot](snapshot) < held


def _newest_place(cursor: Mapping[Any, int]) -> int:
    return cursor[max(cursor, key=int)] if cursor else 0


#: Snapshots that bring what came since `revision`.
_TOLD_SINCE: frozenset[Snapshot] = frozenset({"job_logs"})

#: What `revision` means in a subscription, by the kind of the snapshot.
_REVISIONS: Mapping[Snapshot, Callable[[Any], int]] = {
    "job": lambda job: job["revision"],
    "job_logs": lambda logs: logs["next"],
    "job_metrics": lambda metrics: _newest_place(metrics["cursor"]),
}


def _refused(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


def _drop_stranger(request: web.Request) -> None:
    if not request.get(_SIGNED_IN):
        cut(request)
