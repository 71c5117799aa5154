"""Saved configurations: list, read, compare, activate, export, run again."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from headway.api.idempotency import idempotency_key
from headway.api.route import Call, Route
from headway.services import read_configurations
from headway.services.activate_configuration import activate_configuration
from headway.services.read_configurations import (
    ComparedConfigurationsView,
    ComparisonQuery,
    ConfigurationPage,
    ConfigurationQuery,
    WholeConfigurationView,
)
from headway.services.rerun_configuration import rerun_configuration
from headway.services.views import JobView


def find(call: Call, query: ConfigurationQuery) -> ConfigurationPage:
    """Configurations, newest first."""
    return read_configurations.list_configurations(call.api.runtime.engine, query)


def compare(call: Call, query: ComparisonQuery) -> ComparedConfigurationsView:
    """Several side by side."""
    return read_configurations.compare_configurations(call.api.runtime.engine, query)


def show(call: Call, configuration_id: str) -> WholeConfigurationView:
    """One configuration."""
    return read_configurations.get_configuration(call.api.runtime.engine, configuration_id)


def activate(call: Call, configuration_id: str) -> WholeConfigurationView:
    """Mark it as in use."""
    return activate_configuration(call.api.runtime.engine, configuration_id, active=True)


def deactivate(call: Call, configuration_id: str) -> WholeConfigurationView:
    """Mark it as no longer in use."""
    return activate_configuration(call.api.runtime.engine, configuration_id, active=False)


def rerun(call: Call, configuration_id: str) -> JobView:
    """A job that finds it again, once for each Idempotency-Key."""
    runtime = call.api.runtime
    key = idempotency_key(call.request)
    return rerun_configuration(
        runtime.engine, runtime.signals, configuration_id, owner=call.identity.name, idempotency_key=key
    )


async def export(call: Call, configuration_id: str) -> web.StreamResponse:
    """The configuration as a file."""
    engine = call.api.runtime.engine
    saved = await call.api.pool.run(partial(read_configurations.get_configuration, engine, configuration_id))
    name = f'attachment; filename="configuration-{saved.id}.json"'
    headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
    return web.Response(text=saved.model_dump_json(indent=1), content_type="application/json", headers=headers)


_ALL = "/api/v1/configurations"
_ONE = _ALL + "/{configuration_id}"
ROUTES = (
    Route(
        method="GET",
        path=_ALL,
        role="viewer",
        handler=find,
        summary="List saved configurations, newest first",
        query=ConfigurationQuery,
        answer=ConfigurationPage,
    ),
    Route(
        method="GET",
        path=_ALL + "/compare",
        role="viewer",
        handler=compare,
        summary="Saved configurations side by side",
        query=ComparisonQuery,
        answer=ComparedConfigurationsView,
    ),
    Route(
        method="GET",
        path=_ONE,
        role="viewer",
        handler=show,
        summary="Read a saved configuration",
        answer=WholeConfigurationView,
    ),
    Route(
        method="GET",
        path=_ONE + "/export",
        role="viewer",
        handler=export,
        summary="Download a saved configuration",
        answer=WholeConfigurationView,
    ),
    Route(
        method="POST",
        path=_ONE + "/activate",
        role="operator",
        handler=activate,
        summary="Mark a configuration as in use",
        answer=WholeConfigurationView,
    ),
    Route(
        method="POST",
        path=_ONE + "/deactivate",
        role="operator",
        handler=deactivate,
        summary="Mark a configuration as no longer in use",
        answer=WholeConfigurationView,
    ),
    Route(
        method="POST",
        path=_ONE + "/rerun",
        role="operator",
        handler=rerun,
        summary="Find a configuration again: same config, seed and prices",
        answer=JobView,
        status=201,
    ),
)
