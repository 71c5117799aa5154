"""The route table is all there is, each row names its role, and the documents made from tables are current."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from aiohttp import web

from headway.api.app import create_app
from headway.api.docs import EVENTS_FILE, events_markdown
from headway.api.openapi import document, operation_id
from headway.api.route import RANKS, Access, Route
from headway.api.routes import ROUTES
from headway.bootstrap import open_runtime
from headway.realtime.channels import CHANNELS, Role
from headway.settings import Settings

OPEN = {
    "GET /healthz", "GET /readyz", "POST /api/v1/session", "DELETE /api/v1/session", "GET /api/docs",
    "GET /api/docs/{file}", "GET /socket.io/",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> web.Application:
    settings = Settings.model_validate(
        {
            "headway_data_dir": tmp_path_factory.mktemp("data"),
            "headway_database_url": "postgresql://nobody@127.0.0.1:1/nothing",
            "headway_redis_url": "redis://127.0.0.1:1/0",
        }
    )

    async def make() -> web.Application:
        runtime = open_runtime(settings)
        made = create_app(runtime)
        runtime.close()
        return made

    return asyncio.run(make())


def served(app: web.Application) -> set[str]:
    resources = [(route.method, route.resource) for route in app.router.routes()]
    return {f"{method} {resource.canonical}" for method, resource in resources if resource and method != "HEAD"}


def canonical(route: Route) -> str:
    return f"{route.method} {'/{path}' if route.path.startswith('/{path') else route.path}"


def test_every_route_names_its_role() -> None:
    assert {route.role for route in ROUTES} <= set(RANKS) == set(get_args(Access))


def test_nothing_is_served_outside_the_table(app: web.Application) -> None:
    assert served(app) == {canonical(route) for route in ROUTES}


def test_only_what_must_be_is_open() -> None:
    assert {canonical(route) for route in ROUTES if route.role == "open"} == OPEN | {"GET /{path}"}


def test_what_changes_things_needs_more_than_a_viewer() -> None:
    changing = [route for route in ROUTES if route.method != "GET" and route.role != "open"]
    assert changing
    assert all(RANKS[route.role] > RANKS["viewer"] for route in changing)


def test_every_channel_names_its_role() -> None:
    assert {channel.role for channel in CHANNELS} <= set(get_args(Role))


def test_every_documented_answer_and_body_has_a_schema() -> None:
    made = document(ROUTES)
    assert made["openapi"].startswith("3.1")
    for route in ROUTES:
        if not route.documented:
            continue
        operation = made["paths"][route.path][route.method.lower()]
        assert operation["x-role"] == route.role
        assert ("requestBody" in operation) == (route.body is not None or route.streamed)
        assert ("content" in operation["responses"][str(route.status)]) == (route.answer is not None)
    references = set(_references(made))
    assert references
    assert all(reference in made["components"]["schemas"] for reference in references)


def test_operations_have_names_of_their_own() -> None:
    names = [operation_id(route) for route in ROUTES if route.documented]
    assert len(names) == len(set(names))


def test_document_of_events_is_current() -> None:
    assert EVENTS_FILE.read_text() == events_markdown(), "run `python -m headway.api.docs`"


def test_api_starts_without_torch_alembic_and_celery() -> None:
    code = "import sys, headway.api.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    ).stdout
    assert not {"torch", "alembic", "celery", "transformers", "numpy", "swagger_ui_bundle"} & set(loaded.split())


def test_documents_are_written_for_other_tools(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headway.api.docs", "openapi"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    assert '"/api/v1/jobs/{job_id}/cancel"' in text


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].rpartition("/")[2]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []
