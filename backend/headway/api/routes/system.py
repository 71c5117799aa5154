"""Kinds, hosts, and everything that is under way."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services.read_jobs import OperationsView
from headway.services.read_jobs import operations as read_operations
from headway.services.read_kinds import KindsView, list_kinds
from headway.services.read_system import HostsView, list_hosts


def kinds(call: Call) -> KindsView:
    """What a job can be."""
    return list_kinds()


def operations(call: Call) -> OperationsView:
    """What is under way."""
    return read_operations(call.api.runtime.engine)


def hosts(call: Call) -> HostsView:
    """Machines with workers."""
    return list_hosts(call.api.runtime.engine)


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
        method="GET",
        path="/api/v1/operations",
        role="viewer",
        handler=operations,
        summary="Everything that is under way, queue lengths, hosts",
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
)
