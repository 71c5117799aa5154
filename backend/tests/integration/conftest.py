"""An API over the installation that a module opens, and a client of it; a module that needs another makes its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.installation import Installation
from tests.integration.api_server import Server, serving


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with serving(installation.settings) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
