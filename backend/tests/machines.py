"""Machines for tests: host names and data directories of their own, and an API each that others fetch files from."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.installation import Installation, wait_until
from tests.integration.api_server import Server, make_settings, serving

TOKEN = "test-token"


@dataclass(frozen=True)
class Machine:
    """A host of the test: its name, its data directory, its API."""

    name: str
    data_dir: Path
    server: Server

    @property
    def environment(self) -> dict[str, str]:
        """What makes a worker one of this host."""
        return {"HEADWAY_HOST_NAME": self.name, "HEADWAY_DATA_DIR": str(self.data_dir)}


@contextmanager
def machine(installation: Installation, name: str, data_dir: Path) -> Iterator[Machine]:
    """A host whose API others reach."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = make_settings(
        data_dir,
        installation.environment["HEADWAY_DATABASE_URL"],
        installation.environment["HEADWAY_REDIS_URL"],
        headway_host_name=name,
        headway_advertised_url=f"http://127.0.0.1:{port}",
        headway_token=TOKEN,
    )
    with serving(settings, port) as server:
        seen = "SELECT url FROM file_servers WHERE host = %s"
        wait_until(lambda: installation.query(seen, name), what="the address of its files")
        yield Machine(name, data_dir, server)
