"""Metric curves of a job."""

from __future__ import annotations

from functools import partial

import orjson
from aiohttp import web
from sqlalchemy import Engine

from headway.api.route import Call, Route
from headway.services.read_metrics import MetricsQuery, MetricsView, read_metrics


async def show(call: Call, job_id: str, query: MetricsQuery) -> web.Response:
    """The effective curves, thinned to what a chart can show."""
    return await call.api.pool.run(partial(_curves, call.api.runtime.engine, job_id, query))


def _curves(engine: Engine, job_id: str, query: MetricsQuery) -> web.Response:
    view = read_metrics(engine, job_id, query)
    # numbers by the ten thousand: pydantic would take three times as long as orjson
    body = orjson.dumps(view, default=vars, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(body=body, content_type="application/json")


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/jobs/{job_id}/metrics",
        role="viewer",
        handler=show,
        summary="Metric curves: each step once, or minimum and maximum of each bucket",
        query=MetricsQuery,
        answer=MetricsView,
    ),
)
