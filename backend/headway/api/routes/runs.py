"""Runs: the documented view of a job for training clients, read, and followed by SSE or a plain WebSocket."""

from __future__ import annotations

from aiohttp import web

from headway.api.route import Call, Route
from headway.api.views import RunProgressView, RunView, run_progress_view, run_view
from headway.errors import FieldProblem, ForbiddenError, InvalidInputError
from headway.services.read_jobs import get_job
from headway.services.read_run_progress import RunProgressQuery, read_run_progress


def show(call: Call, run_id: str) -> RunView:
    """Where a run stands."""
    return run_view(get_job(call.api.runtime.engine, run_id))


def progress(call: Call, run_id: str, query: RunProgressQuery) -> RunProgressView:
    """The course of a run."""
    return run_progress_view(read_run_progress(call.api.runtime.engine, run_id, query))


async def stream(call: Call, run_id: str) -> web.StreamResponse:
    """Server-Sent Events: the run at each change."""
    return await call.api.runs.send_events(call.request, run_id, _last_event_id(call.request), call.identity.token_id)


async def socket(call: Call, run_id: str) -> web.StreamResponse:
    """A plain WebSocket: the run at each change."""
    if not call.api.gate.allows_origin(call.request):
        raise ForbiddenError("Pages of this origin may not connect: add it to HEADWAY_ALLOWED_ORIGINS.")
    return await call.api.runs.send_messages(call.request, run_id, call.identity.token_id)


def _last_event_id(request: web.Request) -> int:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return -1
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise InvalidInputError(FieldProblem("Last-Event-ID", "must be the `id` of an event of this stream"))
    return int(given)


ROUTES = (
    Route(
        method="GET", path="/runs/{run_id}", role="viewer", handler=show, summary="Where a run stands", answer=RunView
    ),
    Route(
        method="GET",
        path="/runs/{run_id}/progress",
        role="viewer",
        handler=progress,
        summary="The course of a run, with aggregates of its metrics on request",
        query=RunProgressQuery,
        answer=RunProgressView,
    ),
    Route(
        method="GET",
        path="/runs/{run_id}/stream",
        role="viewer",
        handler=stream,
        summary="The run at each change, as Server-Sent Events; `Last-Event-ID` resumes",
    ),
    Route(
        method="GET",
        path="/ws/runs/{run_id}",
        role="viewer",
        handler=socket,
        summary="The run at each change, over a plain WebSocket",
    ),
)
