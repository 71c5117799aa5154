"""The yardstick: python-socketio over Redis and nothing else, tuned alike (uvloop, collector, no compression).

`python backend/bench/push_bare.py PORT REDIS_URL`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import socketio
import uvloop
from aiohttp import web

TOPIC = "bare"


async def main(port: int, redis_url: str) -> None:
    """Serve until killed."""
    manager = socketio.AsyncRedisManager(redis_url, TOPIC)
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager, transports=["websocket"])

    async def subscribe(sid: str, data: dict[str, Any]) -> dict[str, Any]:
        await server.enter_room(sid, data["channel"])
        return {"ok": True, "snapshot": None}

    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Everybody may."""

    server.on("connect", connect)
    server.on("subscribe", subscribe)
    app = web.Application()

    async def handshake(request: web.Request) -> web.StreamResponse:
        headers = request.headers.copy()
        headers.popall("Sec-WebSocket-Extensions", None)
        return await server.handle_request(request.clone(headers=headers))

    app.router.add_get("/socket.io/", handshake)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
