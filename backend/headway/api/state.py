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
from headway.realtime.stream import RunStreams


@dataclass(frozen=True, slots=True)
class Api:
    """One instance's parts."""

    runtime: Runtime
    gate: Gate
    pool: WorkPool
    push: PushServer
    runs: RunStreams
    health: Health
    telemetry: Telemetry
    routes: Sequence[Route]

    def drop_token(self, token_id: str) -> None:
        """Cut off every socket and stream that came with a token that holds no more."""
        self.push.drop_token(token_id)
        self.runs.drop_token(token_id)


API = web.AppKey("api", Api)
