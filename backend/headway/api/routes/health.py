"""Liveness, readiness, Prometheus."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from headway import __version__
from headway.api.dispatch import json_response
from headway.api.route import Call, Route
from headway.api.telemetry import CONTENT_TYPE


class HealthView(BaseModel):
    """The process lives."""

    status: str
    version: str


class ReadyView(BaseModel):
    """Whether it can serve, and what each service answers."""

    ready: bool
    services: dict[str, str]
    detail: str | None = None


async def live(call: Call) -> web.Response:
    """Alive, whatever Postgres and Redis do."""
    return json_response(HealthView(status="ok", version=__version__))


async def ready(call: Call) -> web.Response:
    """Ready when Postgres and Redis answer within a second each."""
    services = await call.api.health.check()
    troubles = [f"{name}: {answer}" for name, answer in services.items() if answer != "ok"]
    view = ReadyView(ready=not troubles, services=services, detail="; ".join(troubles) or None)
    return json_response(view, 503 if troubles else 200)


async def metrics(call: Call) -> web.Response:
    """Prometheus text."""
    api = call.api
    body = await api.pool.run(lambda: api.telemetry.render(api.runtime.engine))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


ROUTES = (
    Route(method="GET", path="/healthz", role="open", handler=live, summary="Is it alive", answer=HealthView),
    Route(method="GET", path="/readyz", role="open", handler=ready, summary="Can it serve", answer=ReadyView),
    Route(method="GET", path="/metrics", role="viewer", handler=metrics, summary="Prometheus metrics"),
)
