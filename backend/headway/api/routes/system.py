"""Kinds, hosts and what they and their jobs use, and everything that is under way."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services.forecast_job import ForecastRequest, ForecastView, forecast_job
from headway.services.read_kinds import KindsView, list_kinds
from headway.services.read_operations import OperationsView, read_operations
from headway.services.read_samples import (
    CurrentView,
    HistoryOfHosts,
    HostSpan,
    JobResources,
    Span,
    read_current,
    read_history,
    read_job_resources,
)
from headway.services.read_system import HostsView, list_hosts


def kinds(call: Call) -> KindsView:
    """What a job can be."""
    return list_kinds()


def forecast(call: Call, name: str, body: ForecastRequest) -> ForecastView:
    """What a job would take."""
    return forecast_job(call.api.runtime.engine, name, body)


def operations(call: Call) -> OperationsView:
    """What is under way."""
    return read_operations(call.api.runtime.engine)


def hosts(call: Call) -> HostsView:
    """Machines with workers."""
    return list_hosts(call.api.runtime.engine)


def current(call: Call) -> CurrentView:
    """The newest sample of each host."""
    runtime = call.api.runtime
    return read_current(runtime.engine, runtime.settings.system_monitor_interval_seconds)


def history(call: Call, query: HostSpan) -> HistoryOfHosts:
    """What hosts used over time."""
    return read_history(call.api.runtime.engine, query)


def job_resources(call: Call, job_id: str, query: Span) -> JobResources:
    """What a job used over time."""
    return read_job_resources(call.api.runtime.engine, job_id, query)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/kinds",
        role="viewer",
        handler=kinds,
        summary="Kinds of jobs, each with the JSON Schema of its config",
        answer=KindsView,
    ),
    Route(
        method="POST",
        path="/api/v1/kinds/{name}/forecast",
        role="operator",
        handler=forecast,
        summary="What a job with this config would take: disk, memory, and the time as finished runs of the kind tell",
        body=ForecastRequest,
        answer=ForecastView,
    ),
    Route(
        method="GET",
        path="/api/v1/operations",
        role="viewer",
        handler=operations,
        summary="Everything under way: jobs, queues and their waits, hosts and GPUs with their users, failures",
        answer=OperationsView,
    ),
    Route(
        method="GET",
        path="/api/v1/system/hosts",
        role="viewer",
        handler=hosts,
        summary="Hosts and their workers",
        answer=HostsView,
    ),
    Route(
        method="GET",
        path="/api/v1/system/current",
        role="viewer",
        handler=current,
        summary="The newest sample of each host",
        answer=CurrentView,
    ),
    Route(
        method="GET",
        path="/api/v1/system/history",
        role="viewer",
        handler=history,
        summary="What hosts used over time: as sampled for an hour, by minute for a day, by 15 minutes for 30 days",
        query=HostSpan,
        answer=HistoryOfHosts,
    ),
    Route(
        method="GET",
        path="/api/v1/jobs/{job_id}/resources",
        role="viewer",
        handler=job_resources,
        summary="What a job's processes used over its time",
        query=Span,
        answer=JobResources,
    ),
)
