"""From a row of the route table to an aiohttp handler: who asks, with what, the work in the pool, the JSON answer."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from headway.api.binding import parse_body, path_names, read_query, read_raw_body
from headway.api.route import Call, Route
from headway.api.state import API

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(route: Route) -> Endpoint:
    """The handler of a route."""
    answer = _answer_itself if inspect.iscoroutinefunction(route.handler) else _answer_from_pool

    async def handle(request: web.Request) -> web.StreamResponse:
        api = request.app[API]
        call = Call(api, await api.gate.admit(request, route.role), request)
        arguments: dict[str, Any] = {} if route.free_query else dict(path_names(request))
        if not route.free_query and (query := read_query(request, route.query)) is not None:
            arguments["query"] = query
        raw = b"" if route.streamed else await read_raw_body(request, wanted=route.body is not None)
        return await answer(route, call, arguments, raw)

    return handle


async def _answer_itself(route: Route, call: Call, arguments: dict[str, Any], raw: bytes) -> web.StreamResponse:
    if route.body is not None:
        arguments["body"] = parse_body(raw, route.body)
    return await route.handler(call, **arguments)


async def _answer_from_pool(route: Route, call: Call, arguments: dict[str, Any], raw: bytes) -> web.StreamResponse:
    return await call.api.pool.run(partial(_work, route, call, arguments, raw))


def _work(route: Route, call: Call, arguments: dict[str, Any], raw: bytes) -> web.StreamResponse:
    # reading and writing JSON belongs in the thread as well: a large body must not hold up the event loop
    if route.body is not None:
        arguments["body"] = parse_body(raw, route.body)
    return json_response(route.handler(call, **arguments), route.status)


def json_response(view: BaseModel | None, status: int = 200) -> web.Response:
    """A model as JSON; None as 204."""
    if view is None:
        return web.Response(status=204)
    return web.Response(
        body=view.model_dump_json(by_alias=True).encode(), status=status, content_type="application/json"
    )
