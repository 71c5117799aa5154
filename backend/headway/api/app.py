"""Composes an API instance and runs it: the route table, the gate, the work pool, pushes; a graceful, bounded stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from headway.api import middleware
from headway.api.auth import Gate
from headway.api.dispatch import endpoint
from headway.api.errors import problems
from headway.api.health import Health
from headway.api.pool import WorkPool
from headway.api.route import Route
from headway.api.routes import ROUTES
from headway.api.snapshots import read_frame, read_snapshot
from headway.api.state import API, Api
from headway.api.telemetry import Telemetry
from headway.bootstrap import Runtime, open_runtime, push_topic, realtime_redis_url
from headway.errors import LocalServiceError, UnavailableError
from headway.logs import configure_logging
from headway.realtime.server import PushServer, Visitor
from headway.realtime.stream import RunStreams
from headway.services.serve_files import register_server
from headway.services.tokens import TokenView, find_by_id, find_by_secret
from headway.settings import Settings
from headway.storage.hosts import FILE_SERVER_SEEN_SECONDS

START_SECONDS = 2.0
SHUTDOWN_SECONDS = 2.0
CLOSE_SECONDS = 1.5
TOKENS_CHECKED_SECONDS = 30.0

log = structlog.get_logger(__name__)


def create_app(runtime: Runtime, routes: Sequence[Route] = ROUTES) -> web.Application:
    """The application of one instance; it owns the runtime and closes it. Call it with the event loop running."""
    app = web.Application(
        middlewares=[middleware.observe, problems, middleware.answer_preflights],
        client_max_size=runtime.settings.headway_max_body_mb << 20,
    )
    app[API] = _compose(runtime, routes)
    for route in routes:
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, endpoint(route))
    app.on_response_prepare.append(middleware.add_headers)
    app.on_startup.append(_start)
    app.cleanup_ctx.append(_watch_tokens)
    app.cleanup_ctx.append(_tell_where_files_are)
    app.on_shutdown.append(_cut_clients_off)
    app.on_cleanup.append(_close)
    return app


def serve(settings: Settings) -> None:
    """Run one instance until SIGTERM or SIGINT, then leave within four seconds.

    Raises LocalServiceError for an address that cannot be listened on, SettingsError.
    """
    configure_logging(settings, service="api")
    stuck = _run(_serve(settings))
    if stuck:  # by a service that hangs; `leave` does not wait for their threads
        log.warning("left with work under way", calls=stuck)


def _compose(runtime: Runtime, routes: Sequence[Route]) -> Api:
    settings = runtime.settings
    # one connection is left for the health checks
    pool = WorkPool(max(1, settings.headway_db_pool_size - 1))

    async def find_token(by: str, value: str) -> TokenView | None:
        find = find_by_secret if by == "secret" else find_by_id
        return await pool.run(partial(find, runtime.engine, value))

    gate = Gate(settings, find_token)

    async def authenticate(request: web.Request, auth: Any) -> Visitor | None:
        identity = await gate.admit_socket(request, auth.get("token") if isinstance(auth, dict) else None)
        return None if identity is None or identity.role == "open" else Visitor(identity.role, identity.token_id)

    runs = RunStreams(partial(read_frame, runtime.engine, pool), settings.headway_max_clients)
    push = PushServer(
        redis_url=realtime_redis_url(settings),
        find_topic=lambda: pool.run(partial(push_topic, runtime.engine)),
        read_snapshot=partial(read_snapshot, runtime.engine, pool),
        authenticate=authenticate,
        max_clients=settings.headway_max_clients,
        max_request_bytes=settings.websocket_max_request_bytes,
        compression=settings.websocket_compression,
        on_push=runs.wake,
    )
    telemetry = Telemetry(lambda: push.clients)
    return Api(runtime, gate, pool, push, runs, Health(runtime, push.cluster.state), telemetry, routes)


async def _start(app: web.Application) -> None:
    app[API].push.start()
    # who comes first finds pushes flowing; without Redis or Postgres it begins all the same
    await app[API].push.cluster.hears(START_SECONDS)
    gc.enable()
    gc.freeze()  # what stands now stays: the collector need not look at it again


async def _watch_tokens(app: web.Application) -> AsyncIterator[None]:
    """Sockets live long: those of a token that was revoked elsewhere, or has expired, end within the period."""
    api = app[API]

    async def watch() -> None:
        while True:
            await asyncio.sleep(TOKENS_CHECKED_SECONDS)
            for token_id in api.push.token_ids() | api.runs.token_ids():
                with suppress(UnavailableError):
                    if await api.pool.run(partial(find_by_id, api.runtime.engine, token_id)) is None:
                        api.drop_token(token_id)

    task = asyncio.create_task(watch())
    yield
    task.cancel()


async def _tell_where_files_are(app: web.Application) -> AsyncIterator[None]:
    """Other hosts fetch this host's artifacts and checkpoints here."""
    api = app[API]
    tell = partial(register_server, api.runtime.engine, api.runtime.settings)

    async def keep_telling() -> None:
        while True:
            with suppress(UnavailableError):
                await api.pool.run(tell)
            await asyncio.sleep(FILE_SERVER_SEEN_SECONDS)

    task = asyncio.create_task(keep_telling())
    yield
    task.cancel()


async def _cut_clients_off(app: web.Application) -> None:
    await app[API].runs.close()
    await app[API].push.close()


async def _close(app: web.Application) -> None:
    api = app[API]
    api.pool.close()
    api.health.close()
    closing = asyncio.get_running_loop().run_in_executor(None, api.runtime.close)
    await asyncio.wait([closing], timeout=CLOSE_SECONDS)


async def _serve(settings: Settings) -> int:
    app = create_app(open_runtime(settings))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.headway_host, settings.headway_port, backlog=1024).start()
        log.info("listening", host=settings.headway_host, port=settings.headway_port)
        await stop.wait()
    except OSError as error:
        raise LocalServiceError(
            f"HEADWAY_HOST={settings.headway_host}, HEADWAY_PORT={settings.headway_port} cannot be listened on: "
            f"{error.strerror}. Set HEADWAY_PORT to a free one."
        ) from None
    finally:
        await runner.cleanup()
    return app[API].pool.busy


def _run(main: Coroutine[Any, Any, int]) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
