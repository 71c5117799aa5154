"""What an API instance is made of, handed to every handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from headway.api.auth import Gate
from headway.api.health import Health
from headway.api.pool import WorkPool
from headway.api.route import Route
from headway.api.telemetry import Telemetry
from headway.bootstrap import Runtime
from headway.realtime.server import PushServer


@dataclass(frozen=True, slots=True)
class Api:
    """One instance's parts."""

    runtime: Runtime
    gate: Gate
    pool: WorkPool
    push: PushServer
    health: Health
    telemetry: Telemetry
    routes: Sequence[Route]


API = web.AppKey("api", Api)
