"""Metric curves of a job."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services.read_metrics import MetricsQuery, MetricsView, read_metrics


def show(call: Call, job_id: str, query: MetricsQuery) -> MetricsView:
    """The effective curves, thinned to what a chart can show."""
    return read_metrics(call.api.runtime.engine, job_id, query)


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
