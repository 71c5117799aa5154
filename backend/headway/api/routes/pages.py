"""What is not the API proper: its documentation, the handshake of the pushes, and the dashboard for everything else."""

from __future__ import annotations

import json

from aiohttp import web

from headway.api import files
from headway.api.openapi import document
from headway.api.route import Call, Route
from headway.errors import ForbiddenError
from headway.realtime.server import PATH


async def openapi(call: Call) -> web.Response:
    """The OpenAPI document."""
    body = await call.api.pool.run(lambda: json.dumps(document(call.api.routes)).encode())
    return web.Response(body=body, content_type="application/json")


async def socket(call: Call) -> web.StreamResponse:
    """A Socket.IO handshake; who it is, is asked within it."""
    if not call.api.gate.allows_origin(call.request):
        raise ForbiddenError("Pages of this origin may not connect: add it to HEADWAY_ALLOWED_ORIGINS.")
    return await call.api.push.handle(call.request)


ROUTES = (
    Route(
        method="GET",
        path="/api/openapi.json",
        role="viewer",
        handler=openapi,
        summary="This document",
        documented=False,
    ),
    Route(
        method="GET",
        path="/api/docs",
        role="open",
        handler=files.docs_page,
        summary="The API, to read and to try",
        documented=False,
    ),
    Route(
        method="GET",
        path="/api/docs/{file}",
        role="open",
        handler=files.docs_file,
        summary="Its files",
        documented=False,
    ),
    Route(
        method="GET",
        path=PATH,
        role="open",
        handler=socket,
        summary="Pushes (see websocket-events.md)",
        documented=False,
        free_query=True,
    ),
    Route(
        method="GET",
        path=r"/{path:(?!api(?:/|$)|socket\.io(?:/|$)|healthz$|readyz$|metrics$).*}",
        role="open",
        handler=files.page,
        summary="The dashboard",
        documented=False,
        free_query=True,
    ),
)
