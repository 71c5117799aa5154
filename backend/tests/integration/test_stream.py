"""Runs followed by Server-Sent Events and a plain WebSocket: the newest at once, each change, whole after any gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from sqlalchemy import text

from headway.realtime import stream
from headway.storage.engine import transaction
from tests.integration.api_server import Server, make_settings, serving

WAIT_SECONDS = 60.0
MOST_CLIENTS = 8


@pytest.fixture(scope="module")
def server(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("data")
    with serving(make_settings(folder, postgres_url, redis_url, headway_max_clients=MOST_CLIENTS)) as running:
        yield running


@pytest.fixture
def job(server: Server) -> str:
    with server.client() as http:
        return http.post("/api/v1/jobs", json={"kind": "probe.work"}).json()["id"]


class Events:
    """A parser of Server-Sent Events over one response."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, str]:
        """The fields of the next event (a comment is `""`); {} at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WAIT_SECONDS):
            while line := await self.response.content.readline():
                if line == b"\n":
                    if fields:
                        return fields
                    continue
                name, _, value = line.decode().rstrip("\n").partition(":")
                fields[name] = value.strip()
        return fields

    async def frame(self) -> tuple[int, dict[str, Any]]:
        """The id and the JSON of the next event that has data."""
        while "data" not in (event := await self.next()):
            assert event, "the stream ended"
        return int(event["id"]), json.loads(event["data"])


@asynccontextmanager
async def following(server: Server, run_id: str, after: int | None = None, token: str = "") -> AsyncIterator[Events]:
    headers = {"Authorization": f"Bearer {token or server.token}"}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    async with (
        aiohttp.ClientSession(server.url, headers=headers) as session,
        session.get(f"/runs/{run_id}/stream") as response,
    ):
        assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
        yield Events(response)


@asynccontextmanager
async def socket(server: Server, run_id: str, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {server.token}"} | headers
    async with (
        aiohttp.ClientSession(server.url, headers=headers) as session,
        session.ws_connect(f"/ws/runs/{run_id}") as ws,
    ):
        yield ws


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 200))


def change_silently(server: Server, job_id: str, assignments: str = "percent_bp = percent_bp + 10") -> None:
    """Commit a change that nobody is told of."""
    with transaction(server.api.runtime.engine) as connection:
        connection.execute(
            text(f"UPDATE jobs SET revision = revision + 1, updated_at = now(), {assignments} WHERE id = :id"),
            {"id": job_id},
        )


def cancel(server: Server, job_id: str) -> None:
    with server.client() as http:
        assert http.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 200


def test_events_begin_with_the_snapshot_and_end_after_the_last_state(server: Server, job: str) -> None:
    async def main() -> None:
        async with following(server, job) as events:
            first, run_now = await events.frame()
            assert (run_now["run_id"], run_now["revision"], run_now["status"]) == (job, first, "queued")
            await asyncio.to_thread(cancel, server, job)
            last, run_now = await events.frame()
            assert (last > first, run_now["revision"], run_now["status"]) == (True, last, "cancelled")
            assert await events.next() == {}
        async with aiohttp.ClientSession(server.url) as session:
            headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": str(last)}
            async with session.get(f"/runs/{job}/stream", headers=headers) as response:
                assert response.status == 204

    run(main)


def test_resumed_stream_sends_what_is_newer_and_nothing_old(server: Server, job: str) -> None:
    async def main() -> None:
        async with following(server, job) as events:
            seen, _ = await events.frame()
        async with following(server, job, after=seen) as events:
            await asyncio.to_thread(change_silently, server, job)
            newer, run_now = await events.frame()
            assert (newer, run_now["progress_percentage"]) == (seen + 1, 0.1)
        change_silently(server, job)
        async with following(server, job, after=newer) as events:
            assert (await events.frame())[0] == newer + 1
        async with following(server, job, after=10_000) as events:
            assert (await events.frame())[0] == newer + 1

    run(main)


def test_change_that_was_not_pushed_arrives_within_two_seconds(server: Server, job: str) -> None:
    async def main() -> None:
        async with following(server, job) as events, socket(server, job) as ws:
            before, _ = await events.frame()
            assert (await ws.receive_json(timeout=WAIT_SECONDS))["revision"] == before
            await asyncio.to_thread(change_silently, server, job)
            async with asyncio.timeout(2):
                assert (await events.frame())[0] == before + 1
                assert (await ws.receive_json())["revision"] == before + 1

    run(main)


def test_pushed_change_arrives_before_the_next_reading(
    server: Server, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "READ_EVERY_SECONDS", 30.0)

    async def main() -> None:
        async with following(server, job) as events:
            await events.frame()
            await asyncio.to_thread(cancel, server, job)
            async with asyncio.timeout(5):
                assert (await events.frame())[1]["status"] == "cancelled"

    run(main)


def test_streams_tell_the_truth_with_redis_away(server: Server, job: str, tmp_path: Path) -> None:
    settings = server.settings.model_copy(
        update={"headway_redis_url": "redis://127.0.0.1:1/0", "headway_data_dir": tmp_path}
    )

    async def main(away: Server) -> None:
        async with following(away, job) as events, socket(away, job) as ws:
            before, _ = await events.frame()
            await ws.receive_json(timeout=WAIT_SECONDS)
            await asyncio.to_thread(change_silently, server, job)
            assert (await events.frame())[0] == before + 1
            assert (await ws.receive_json(timeout=WAIT_SECONDS))["revision"] == before + 1

    with serving(settings) as away:
        run(lambda: main(away))


def test_quiet_stream_is_kept_open_by_comments(server: Server, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)

    async def main() -> None:
        async with following(server, job) as events:
            await events.frame()
            assert await events.next() == {"": "still here"}

    run(main)


def test_socket_sends_each_change_and_closes_after_the_last(server: Server, job: str) -> None:
    async def main() -> None:
        async with socket(server, job) as ws:
            first = await ws.receive_json(timeout=WAIT_SECONDS)
            await asyncio.to_thread(cancel, server, job)
            last = await ws.receive_json(timeout=WAIT_SECONDS)
            assert (last["status"], last["revision"] > first["revision"]) == ("cancelled", True)
            assert (await ws.receive(timeout=WAIT_SECONDS)).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1000

    run(main)


def test_socket_of_a_foreign_page_a_stranger_or_nothing_is_refused(server: Server, job: str) -> None:
    async def status(run_id: str, **headers: str) -> int:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with socket(server, run_id, **headers):
                pass
        return refused.value.status

    async def main() -> None:
        assert await status(job, Origin="https://elsewhere.example") == 403
        assert await status(job, Authorization="Bearer wrong") == 401
        assert await status("aaaaaaaaaaaa") == 404

    run(main)


def test_wrong_event_id_and_missing_run_are_problems(server: Server, job: str) -> None:
    with server.client() as http:
        wrong = http.get(f"/runs/{job}/stream", headers={"Last-Event-ID": "seven"})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "Last-Event-ID")
        assert http.get("/runs/aaaaaaaaaaaa/stream").status_code == 404
        assert http.head(f"/runs/{job}/stream").headers["Content-Type"] == "text/event-stream"


def test_stream_ends_when_its_run_is_deleted_or_its_token_revoked(server: Server, job: str) -> None:
    with server.client() as http:
        token = http.post("/api/v1/tokens", json={"name": "reader", "role": "viewer"}).json()

    async def main() -> None:
        async with following(server, job, token=token["token"]) as events:
            await events.frame()
            async with httpx.AsyncClient(base_url=server.url, headers=_bearer(server), trust_env=False) as http:
                assert (await http.delete(f"/api/v1/tokens/{token['id']}")).status_code == 204
            with pytest.raises(aiohttp.ClientError):
                await events.next()
        async with following(server, job) as events:
            await events.frame()
            await asyncio.to_thread(_delete_row, server, job)
            assert await events.next() == {}

    run(main)


def test_streams_are_bounded_and_a_place_comes_free(server: Server, job: str) -> None:
    async def status() -> int:
        async with (
            aiohttp.ClientSession(server.url, headers=_bearer(server)) as session,
            session.get(f"/runs/{job}/stream") as response,
        ):
            assert (response.status == 503) == ("Retry-After" in response.headers)
            return response.status

    async def fill(clients: AsyncExitStack) -> None:
        for _ in range(MOST_CLIENTS + 1):
            await clients.enter_async_context(following(server, job))

    async def main() -> None:
        async with AsyncExitStack() as clients:
            with pytest.raises(AssertionError, match="Too many streams"):
                await fill(clients)
            assert await status() == 503
        async with asyncio.timeout(WAIT_SECONDS):
            while await status() != 200:
                pass  # a place is free within a second of its client's leaving

    run(main)


def _bearer(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


def _delete_row(server: Server, job_id: str) -> None:
    with transaction(server.api.runtime.engine) as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": job_id})
