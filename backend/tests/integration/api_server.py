"""A real API instance on a loopback port, in a thread of the test's process, with its own data directory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from headway.access import ensure_token
from headway.api.app import create_app
from headway.api.state import API, Api
from headway.bootstrap import open_runtime
from headway.settings import Settings


@dataclass(frozen=True)
class Server:
    """A running instance."""

    url: str
    token: str
    settings: Settings
    api: Api

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """An HTTP client that sends the token; `""` sends none."""
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60, **options)


def make_settings(data_dir: Path, postgres_url: str, redis_url: str, **values: Any) -> Settings:
    """Settings of an installation of its own."""
    return Settings.model_validate(
        {
            "headway_data_dir": data_dir,
            "headway_database_url": postgres_url,
            "headway_redis_url": redis_url,
            "headway_port": 0,
            **values,
        }
    )


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[Server]:
    """An instance for as long as the block lasts; port 0 takes a free one."""
    ready: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, str, Api]] = []
    started = threading.Event()

    async def main() -> None:
        app = create_app(open_runtime(settings))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0]
        stop = asyncio.Event()
        ready.append((asyncio.get_running_loop(), stop, f"http://{host}:{bound}", app[API]))
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert started.wait(20), "the API did not start"
    loop, stop, url, api = ready[0]
    try:
        yield Server(url, ensure_token(settings), settings, api)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive(), "the API did not stop"
