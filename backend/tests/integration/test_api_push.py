"""Pushes over a real Socket.IO connection: snapshot on subscribe, what is committed arrives, everything is bounded."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import socketio
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from socketio.exceptions import ConnectionError as RefusedError
from structlog.testing import capture_logs

from headway.local import postgres, valkey
from headway.local.folders import prepare_data_dir
from headway.realtime import server as push
from headway.realtime.channels import Message
from headway.realtime.publisher import Publisher, RedisEmitter
from tests.installation import wait_until
from tests.integration.api_server import Server, make_settings, serving
from tests.services import fresh_database, running

WAIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("data")
    with serving(make_settings(folder, postgres_url, redis_url, headway_max_clients=20)) as running:
        yield running


@pytest.fixture
def job(server: Server) -> dict[str, Any]:
    with server.client() as http:
        return http.post("/api/v1/jobs", json={"kind": "probe.work"}).json()


class Listener:
    """A client that keeps what it hears."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.socket.on("*", self._hear)
        self.socket.on("disconnect", self._leave)
        self.socket.on("connect_error", self._refuse)
        self.reason: Any = None

    async def _hear(self, event: str, data: Any) -> None:
        await self.heard.put((event, data))

    async def _leave(self, *_: Any) -> None:
        self.gone.set()

    async def _refuse(self, reason: Any) -> None:
        self.reason = reason

    async def ask(self, event: str, data: Any = None) -> Any:
        return await self.socket.call(event, data, timeout=WAIT_SECONDS)

    async def subscribe(self, channel: str) -> Any:
        return await self.ask("subscribe", {"channel": channel})

    async def next(self, after: int = -1) -> tuple[str, Any]:
        """The next message newer than a revision: the news of a job's submission may come late."""
        while True:
            event, payload = await asyncio.wait_for(self.heard.get(), WAIT_SECONDS)
            if payload["revision"] > after:
                return event, payload


@asynccontextmanager
async def listening(server: Server, token: str | None = None, **options: Any) -> AsyncIterator[Listener]:
    listener = Listener()
    auth = {"token": server.token if token is None else token}
    await listener.socket.connect(server.url, auth=auth, transports=["websocket"], **options)
    try:
        yield listener
    finally:
        await listener.socket.disconnect()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 200))


async def command(server: Server, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        response = await http.post(path)
    assert response.status_code == 200, response.text
    return response.json()


def test_subscription_is_answered_with_the_snapshot(server: Server, job: dict[str, Any]) -> None:
    async def main() -> None:
        async with listening(server) as listener:
            answer = await listener.subscribe(f"jobs/{job['id']}/progress")
            assert (answer["ok"], answer["channel"]) == (True, f"jobs/{job['id']}/progress")
            unsteady = {"data_age_seconds"}
            snapshot = {k: v for k, v in answer["snapshot"].items() if k not in unsteady}
            assert snapshot == {k: v for k, v in job.items() if k not in unsteady}
            assert (await listener.subscribe(f"jobs/{job['id']}/logs"))["snapshot"] == {
                "after": 0,
                "items": [],
                "next": 0,
            }
            assert (await listener.subscribe(f"jobs/{job['id']}/metrics"))["snapshot"] == {"names": [], "cursor": {}}
            assert (await listener.subscribe(f"trainings/{job['id']}/checkpoints"))["ok"]
            operations = await listener.subscribe("operations")
            assert job["id"] in [item["id"] for item in operations["snapshot"]["items"]]

    run(main())


def test_committed_change_reaches_its_subscribers_with_a_newer_revision(server: Server, job: dict[str, Any]) -> None:
    async def main() -> None:
        async with listening(server) as listener, listening(server) as everything, listening(server) as bystander:
            channel = f"jobs/{job['id']}/progress"
            before = (await listener.subscribe(channel))["snapshot"]["revision"]
            await everything.subscribe("operations")
            await bystander.subscribe(f"jobs/{job['id']}/logs")
            committed = await command(server, f"/api/v1/jobs/{job['id']}/cancel")
            event, payload = await listener.next(after=before)
            assert (event, payload["channel"], payload["job_id"]) == ("job:progress", channel, job["id"])
            assert payload["job"]["state"] == "cancelled"
            assert payload["revision"] == payload["job"]["revision"] == committed["revision"] > before
            event, payload = await everything.next(after=before)
            assert (event, payload["job_id"]) == ("job:changed", job["id"])
            assert bystander.heard.empty()

    run(main())


def test_nothing_more_comes_after_unsubscribing(server: Server, job: dict[str, Any]) -> None:
    async def main() -> None:
        async with listening(server) as listener:
            channel = f"jobs/{job['id']}/progress"
            await listener.subscribe(channel)
            assert await listener.ask("unsubscribe", {"channel": channel}) == {"ok": True, "channel": channel}
            assert not (await listener.ask("unsubscribe", {"channel": channel}))["ok"]
            await listener.subscribe("operations")
            await command(server, f"/api/v1/jobs/{job['id']}/cancel")
            # the one on the job's own channel would have come first
            assert (await listener.next(after=job["revision"]))[0] == "job:changed"

    run(main())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"channel": "jobs/aaaaaaaaaaaa/progress"}, "there is no job aaaaaaaaaaaa"),
        ({"channel": "jobs/aaaaaaaaaaaa/metrics"}, "there is no job"),
        ({"channel": "trainings/aaaaaaaaaaaa/checkpoints"}, "there is no job"),
        ({"channel": "secrets"}, "there is no channel"),
        ({"channel": "jobs/a/b/progress"}, "there is no channel"),
        ({"channel": 7}, "there is no channel"),
        ({"channel": "x" * 5000}, "there is no channel"),
        ({}, "there is no channel"),
        ("operations", "there is no channel"),
        (None, "there is no channel"),
    ],
)
def test_wrong_subscription_is_refused_with_the_reason(server: Server, data: Any, said: str) -> None:
    async def main() -> None:
        async with listening(server) as listener:
            answer = await listener.ask("subscribe", data)
            assert answer["ok"] is False
            assert said in answer["error"]

    run(main())


def test_unknown_event_is_answered_with_an_error(server: Server) -> None:
    async def main() -> None:
        async with listening(server) as listener:
            answer = await listener.ask("cancel", {"job": "x"})
            assert (answer["ok"], "subscribe" in answer["error"]) == (False, True)

    run(main())


def test_stranger_is_refused(server: Server) -> None:
    async def main() -> None:
        for token in ("", "wrong"):
            listener = Listener()
            with pytest.raises(RefusedError):
                await listener.socket.connect(server.url, auth={"token": token}, transports=["websocket"])
            assert "unauthorized" in listener.reason["message"]

    run(main())


@pytest.mark.parametrize("end", ["deleted here", "deleted elsewhere"])
def test_socket_of_a_revoked_token_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr("headway.api.app.TOKENS_CHECKED_SECONDS", 0.1)

    async def main(other: Server) -> None:
        with server.client() as here, other.client() as there:
            made = here.post("/api/v1/tokens", json={"name": "guest", "role": "viewer"}).json()
            async with listening(other, made["token"]) as guest, listening(other) as owner:
                assert (await guest.subscribe("operations"))["ok"]
                (there if end == "deleted here" else here).delete(f"/api/v1/tokens/{made['id']}")
                await asyncio.wait_for(guest.gone.wait(), WAIT_SECONDS)
                assert (await owner.subscribe("operations"))["ok"]

    with serving(server.settings) as other:
        run(main(other))


def test_cookie_opens_the_socket_from_our_page_only(server: Server) -> None:
    with server.client("") as browser:
        browser.get("/", params={"token": server.token})
        cookie = f"{server.api.gate.cookie}={browser.cookies[server.api.gate.cookie]}"

    async def main() -> None:
        async with listening(server, "", headers={"Cookie": cookie, "Origin": server.url}) as listener:
            assert (await listener.subscribe("operations"))["ok"]
        with pytest.raises(RefusedError):
            async with listening(server, "", headers={"Cookie": cookie, "Origin": "http://evil.example"}):
                pass

    run(main())


def test_only_websocket_is_spoken(server: Server) -> None:
    with server.client() as http:
        assert http.get("/socket.io/", params={"EIO": 4, "transport": "polling"}).status_code == 400
        assert http.post("/socket.io/", params={"EIO": 4, "transport": "polling"}).status_code == 405


@pytest.mark.parametrize("compression", [False, True])
def test_compression_is_taken_only_where_the_setting_says_so(server: Server, compression: bool) -> None:
    async def main(url: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket", compress=15) as websocket,
        ):
            assert bool(websocket.compress) is compression

    with serving(server.settings.model_copy(update={"websocket_compression": compression})) as other:
        run(main(other.url))


def test_subscriptions_of_a_client_are_bounded(server: Server, job: dict[str, Any]) -> None:
    async def main() -> None:
        async with listening(server) as listener:
            client = next(iter(server.api.push._clients.values()))
            client.channels.update(f"jobs/{i}/progress" for i in range(push.MOST_SUBSCRIPTIONS))
            answer = await listener.subscribe(f"jobs/{job['id']}/progress")
            assert "unsubscribe" in answer["error"]

    run(main())


def test_clients_of_an_instance_are_bounded(server: Server) -> None:
    async def main(other: Server) -> None:
        async with listening(other), listening(other):
            assert other.api.push.clients == 2
            with pytest.raises(RefusedError):
                async with listening(other):
                    pass
        async with listening(other):
            pass

    with serving(server.settings.model_copy(update={"headway_max_clients": 2})) as other:
        run(main(other))


def test_connection_that_never_signs_in_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "SIGN_IN_SECONDS", 0.2)

    async def main() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{server.url}/socket.io/?EIO=4&transport=websocket") as websocket,
        ):
            opened = await websocket.receive(timeout=WAIT_SECONDS)
            assert opened.type is aiohttp.WSMsgType.TEXT
            assert (await websocket.receive(timeout=WAIT_SECONDS)).type is not aiohttp.WSMsgType.TEXT

    run(main())


def test_pushes_of_every_size_arrive_as_they_were_sent(server: Server) -> None:
    empty = {"channel": "operations", "revision": 1, "job_id": "sized", "filler": ""}
    around = len("42" + json.dumps(["job:changed", empty], separators=(",", ":")))
    # the sizes at which a frame's head changes
    payloads = [empty | {"filler": "x" * (size - around)} for size in (125, 126, 65_535, 65_536)]

    async def main() -> None:
        async with listening(server) as listener:
            await listener.subscribe("operations")
            for payload in [*payloads, empty | {"filler": "Größe"}]:
                server.api.runtime.signals.publish([Message("operations", "job:changed", payload, replaces=False)])
                assert await listener.next() == ("job:changed", payload)

    run(main())


def test_slow_client_is_dropped_and_holds_back_no_other(server: Server) -> None:
    filler = "x" * 500_000

    async def main() -> None:
        address = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        async with (
            listening(server) as quick,
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=1 << 26) as slow,
        ):
            await quick.subscribe("operations")
            for message in (f"40{json.dumps({'token': server.token})}", '420["subscribe",{"channel":"operations"}]'):
                await slow.receive(timeout=WAIT_SECONDS)
                await slow.send_str(message)
            await slow.receive(timeout=WAIT_SECONDS)
            assert server.api.push.clients == 2
            # it reads no more: what it does not take fills the kernel's buffers, then its own, then it is dropped
            slow._response.connection.transport.pause_reading()
            for number in range(1, 200):
                payload = {"channel": "operations", "revision": number, "job_id": str(number), "filler": filler}
                server.api.runtime.signals.publish([Message("operations", "job:changed", payload)])
                await quick.next()
                if server.api.push.clients == 1:
                    break
            assert server.api.push.clients == 1

    run(main())


def test_stopping_instance_lets_its_clients_go_within_four_seconds(server: Server) -> None:
    async def main() -> None:
        listener = Listener()
        with serving(server.settings) as other:
            await listener.socket.connect(other.url, auth={"token": other.token}, transports=["websocket"])
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 4
        await asyncio.wait_for(listener.gone.wait(), WAIT_SECONDS)

    run(main())


@contextmanager
def own_redis() -> Iterator[tuple[str, list[str], Path]]:
    folder = Path(tempfile.mkdtemp(prefix="hw-", dir="/tmp"))
    try:
        prepare_data_dir(folder)
        queue = valkey.prepare_queue(folder)
        yield queue.url, queue.command, folder / "logs" / "valkey.log"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_instance_that_cannot_hear_sends_its_clients_to_polling_and_takes_them_back(
    server: Server, job: dict[str, Any]
) -> None:
    async def comes_back(other: Server) -> Listener:
        while True:
            listener = Listener()
            try:
                await listener.socket.connect(other.url, auth={"token": other.token}, transports=["websocket"])
            except RefusedError:
                continue
            return listener

    async def lose(other: Server, lose_redis: Callable[[], None], find_redis: Callable[[], None]) -> None:
        listener = await comes_back(other)
        assert (await listener.subscribe("operations"))["ok"]
        lose_redis()
        await asyncio.wait_for(listener.gone.wait(), WAIT_SECONDS)
        with other.client() as http:
            response = await asyncio.to_thread(http.get, "/readyz")
            assert (response.status_code, "redis" in response.json()["detail"]) == (503, True)
            assert http.get("/api/v1/jobs").status_code == 200, "REST goes on"
        with pytest.raises(RefusedError):
            await Listener().socket.connect(other.url, auth={"token": other.token}, transports=["websocket"])
        find_redis()
        back = await comes_back(other)
        assert (await back.subscribe("operations"))["ok"]
        await command(other, f"/api/v1/jobs/{job['id']}/cancel")
        assert (await back.next(after=job["revision"]))[1]["job_id"] == job["id"]
        await back.socket.disconnect()

    with own_redis() as (url, redis_command, log), running(redis_command, signal.SIGTERM, log) as process:
        valkey.wait_ready(url)
        settings = server.settings.model_copy(update={"headway_redis_url": url})
        with serving(settings) as other:
            # hung, which is worse than dead: connections stay open
            run(lose(other, lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT)))


def test_pushes_lost_while_redis_is_away_are_logged_once() -> None:
    with own_redis() as (url, redis_command, log), capture_logs() as told:
        publisher = Publisher(lambda: RedisEmitter(Redis.from_url(url, retry=Retry(NoBackoff(), 1)), "topic"), 0)
        news = Message("operations", "job:changed", {}, replaces=False)
        publisher.publish([news] * 50)
        wait_until(lambda: told, what="the first loss")
        with running(redis_command, signal.SIGTERM, log):
            valkey.wait_ready(url)
            publisher.publish([news])
            publisher.close()
    assert [entry["event"] for entry in told] == ["pushes are lost", "pushes flow again"]
    assert 1 <= told[1]["lost"] <= 50


def test_installations_on_one_redis_do_not_hear_each_other(
    server: Server, cluster: postgres.Cluster, tmp_path: Path
) -> None:
    async def main(neighbour: Server) -> None:
        async with listening(server) as listener:
            await listener.subscribe("operations")
            for number, each in enumerate((neighbour, server)):
                payload = {"channel": "operations", "revision": number, "job_id": "x"}
                each.api.runtime.signals.publish([Message("operations", "job:changed", payload, replaces=False)])
                if each is neighbour:
                    # sent, and heard by its own instance
                    await asyncio.to_thread(each.api.runtime.signals.publisher.close)
            assert (await listener.next())[1]["revision"] == 1

    with (
        fresh_database(cluster) as url,
        serving(make_settings(tmp_path, url, str(server.settings.headway_redis_url))) as neighbour,
    ):
        run(main(neighbour))


def test_deaf_instance_says_so_drops_its_clients_and_listens_anew(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.realtime.cluster.PROBE_SECONDS", 0.2)
    monkeypatch.setattr("headway.realtime.cluster.DEAF_SECONDS", 1.0)

    async def main(other: Server) -> None:
        async with listening(other) as listener:
            push = other.api.push.cluster
            await asyncio.to_thread(wait_until, lambda: push.state() == "ok", WAIT_SECONDS, "hearing")
            # its connection lives, but what is said to the others goes another way; it mends once it may
            find, may_mend = push._find_topic, threading.Event()

            async def find_later() -> str:
                await asyncio.to_thread(may_mend.wait, WAIT_SECONDS)
                return await find()

            monkeypatch.setattr(push, "_find_topic", find_later)
            push.channel = "elsewhere"
            silent = await asyncio.to_thread(
                wait_until, lambda: push.state() != "ok" and push.state(), WAIT_SECONDS, "silence"
            )
            assert "has not heard itself" in str(silent)
            with other.client() as http:
                ready = await asyncio.to_thread(http.get, "/readyz")
            assert (ready.status_code, "push" in ready.json()["detail"]) == (503, True)
            await asyncio.wait_for(listener.gone.wait(), WAIT_SECONDS)
            may_mend.set()
            await asyncio.to_thread(wait_until, lambda: push.state() == "ok", WAIT_SECONDS, "hearing again")

    with serving(server.settings) as other:
        run(main(other))


def test_message_beyond_the_limit_ends_its_connection(server: Server) -> None:
    async def main(other: Server) -> None:
        async with listening(other) as listener:
            await listener.socket.emit("subscribe", {"channel": "x" * 3000})
            await asyncio.wait_for(listener.gone.wait(), WAIT_SECONDS)

    with serving(server.settings.model_copy(update={"websocket_max_request_bytes": 2048})) as other:
        run(main(other))
