"""Jobs side by side."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services.compare_jobs import CompareQuery, CompareView, compare_jobs


def show(call: Call, query: CompareQuery) -> CompareView:
    """Jobs on one axis, with a verdict."""
    return compare_jobs(call.api.runtime.engine, query)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/compare",
        role="viewer",
        handler=show,
        summary="Jobs side by side: progress and metrics on one axis, and which was faster where",
        query=CompareQuery,
        answer=CompareView,
    ),
)
