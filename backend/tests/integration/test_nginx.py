"""The real nginx with the real nginx.conf before two real API instances."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from headway.api.middleware import CONTENT_SECURITY_POLICY
from headway.api.routes import ROUTES
from headway.errors import LocalServiceError
from headway.local.cluster import DASHBOARD, START_NGINX, find_nginx, nginx_command
from headway.local.valkey import free_port
from headway.parent_death import PARENT_PID
from headway.sdk.job_streams import MetricStream, Points
from headway.sdk.live import Live
from tests.installation import Installation, open_installation, wait_until

BEARER = {"Authorization": "Bearer test-token"}
OFFER = "permessage-deflate; client_max_window_bits"


def has_nginx() -> bool:
    try:
        find_nginx()
    except LocalServiceError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_nginx(), reason="nginx is missing: apt-get install nginx")


@dataclass
class Front:
    """An nginx and the instances behind it."""

    installation: Installation
    process: subprocess.Popen[bytes]
    url: str
    instances: list[str]
    folder: Path

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=BEARER, timeout=30, trust_env=False, **options)

    def reload(self) -> None:
        """New workers take over from the old ones."""
        before = self._workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._workers() - before, what="new workers of nginx")

    def _workers(self) -> set[str]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(path.read_text().split())


@pytest.fixture(scope="module")
def front(postgres_url: str, redis_url: str) -> Iterator[Front]:
    port = free_port()
    with open_installation(postgres_url, redis_url, HEADWAY_PORT=str(port), HEADWAY_MAX_BODY_MB="2") as opened:
        instances = [opened.start_api(), opened.start_api()]
        folder = Path(opened.environment["HEADWAY_DATA_DIR"])
        (folder / "run").mkdir()
        log = folder / "nginx.log"
        ports = [int(address.rpartition(":")[2]) for address in instances]
        command = nginx_command(opened.settings, ports)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, PARENT_PID: str(os.getpid())}
            )
        front = Front(opened, process, f"http://127.0.0.1:{port}", instances, folder)
        try:
            wait_until(lambda: answers(front.url), what=f"nginx (see {log})")
            yield front
        finally:
            process.terminate()
            process.wait(timeout=90)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def log_of(front: Front) -> str:
    return (front.folder / "nginx.log").read_text()


def test_every_route_of_the_api_goes_to_an_instance(front: Front) -> None:
    pages = {route.path for route in ROUTES if route.summary == "The dashboard"}
    with front.client() as http:
        for route in (route for route in ROUTES if route.path not in pages and route.method == "GET"):
            answer = http.get(route.path.replace("{", "x").replace("}", "x"))
            assert "ETag" not in answer.headers or route.path.startswith("/api/docs"), (
                f"{route.path} came from the disk"
            )


def test_static_files_come_from_nginx_with_the_headers_of_the_api(front: Front) -> None:
    asset = next(file.name for file in (DASHBOARD / "assets").iterdir() if file.suffix == ".js")
    with front.client() as http:
        page, script, deep = http.get("/"), http.get(f"/assets/{asset}"), http.get("/submit/sae.train")
        missing, unknown = http.get("/assets/none.js"), http.get("/none.png")
    by_api = httpx.get(front.instances[0] + "/", trust_env=False)
    assert page.text == deep.text == by_api.text
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    security = (
        "X-Content-Type-Options",
        "Referrer-Policy",
        "Cross-Origin-Opener-Policy",
        "Cross-Origin-Resource-Policy",
    )
    assert [page.headers[name] for name in security] == [by_api.headers[name] for name in security]
    assert page.headers["Cache-Control"] == "no-cache"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert missing.status_code == unknown.status_code == 404
    assert "immutable" not in missing.headers.get("Cache-Control", "")


def test_large_answers_are_compressed_whoever_gives_them(front: Front) -> None:
    big = max((DASHBOARD / "assets").glob("*.js"), key=lambda file: file.stat().st_size)
    with front.client() as http:
        assert http.get(f"/assets/{big.name}").headers["Content-Encoding"] == "gzip"
        assert http.get("/api/openapi.json").headers["Content-Encoding"] == "gzip"


def test_a_token_in_the_address_becomes_the_cookie_and_stands_in_no_log(front: Front) -> None:
    with httpx.Client(base_url=front.url, trust_env=False) as http:
        answer = http.get("/jobs?token=test-token&state=running")
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/jobs?state=running"
        assert http.get("/api/v1/jobs").status_code == 200
    assert "test-token" not in log_of(front)


def test_a_request_keeps_its_id_through_nginx_and_a_bad_one_gets_a_new(front: Front) -> None:
    with front.client() as http:
        assert http.get("/api/v1/jobs", headers={"X-Request-ID": "mine-12345"}).headers["X-Request-ID"] == "mine-12345"
        made = http.get("/api/v1/jobs", headers={"X-Request-ID": 'bad" id'}).headers["X-Request-ID"]
    assert len(made) == 32
    wait_until(lambda: "mine-12345" in log_of(front) and made in log_of(front), what="both ids in nginx's log")


def test_a_body_over_the_limit_is_refused_as_a_problem(front: Front) -> None:
    with front.client() as http:
        answer = http.post("/api/v1/jobs", content=b"x" * (3 << 20), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert "HEADWAY_MAX_BODY_MB" in answer.json()["detail"]


def test_pages_are_told_from_strangers_by_the_name_they_were_asked_under(front: Front) -> None:
    async def handshake(origin: str) -> int:
        url = front.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(url, origin=origin):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert asyncio.run(handshake(front.url)) == 101
    assert asyncio.run(handshake("http://evil.example")) == 403


def test_compression_of_sockets_is_offered_to_no_instance_unless_set(front: Front, tmp_path: Path) -> None:
    assert offered(front.url) is None
    settings = front.installation.settings.model_copy(update={"websocket_compression": True})
    filled = check_config(tmp_path, nginx_command(settings, [1, 2]))
    assert "Sec-WebSocket-Extensions $http_sec_websocket_extensions;" in filled


def offered(url: str) -> str | None:
    async def extensions() -> str | None:
        address = url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, compress=15) as socket:
            return socket._response.headers.get("Sec-WebSocket-Extensions")

    return asyncio.run(extensions())


def check_config(place: Path, command: list[str]) -> str:
    """Have nginx check what start.sh makes of these settings, in another place; the filled configuration."""
    said = [part for part in command if "=" in part and not part.startswith("NGINX_PLACE")]
    done = subprocess.run(
        ["/usr/bin/env", *said, f"NGINX_PLACE={place}", "sh", START_NGINX, "-t"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return (place / "nginx.conf").read_text()


def test_a_name_is_looked_up_again_where_a_resolver_is_named(tmp_path: Path) -> None:
    told = {"NGINX_INSTANCES": "api-1:8400", "NGINX_RESOLVER": "127.0.0.11", "NGINX_DASHBOARD": "/usr/share/headway"}
    environment = {**os.environ, **told, "NGINX_PLACE": str(tmp_path)}
    # an nginx older than 1.27.3 does not take the word; what it would be told is what counts here
    subprocess.run(["sh", START_NGINX, "-t"], env=environment, capture_output=True)
    filled = (tmp_path / "nginx.conf").read_text()
    assert "resolver 127.0.0.11 valid=2s;" in filled
    assert "server api-1:8400 max_fails=1 fail_timeout=2s resolve;" in filled
    assert not re.search(r"\$\{[A-Z_]+\}", filled)


def test_a_client_behind_nginx_gets_every_point_once_while_nginx_reloads(front: Front) -> None:
    installation = front.installation
    installation.start_worker("cpu")

    async def follow() -> list[int]:
        steps: list[int] = []
        job = installation.submit(
            "probe.work", {"steps": 60, "step_seconds": 0.005, "rest_seconds": 0.05, "metrics": 1}
        )
        async with Live(front.url, "test-token") as live:
            async for told in live.follow(MetricStream(job)):
                assert isinstance(told, Points)
                if not steps:
                    await asyncio.to_thread(front.reload)
                steps.extend(step for series in told.series for step in series["steps"])
        return steps

    assert asyncio.run(asyncio.wait_for(follow(), 200)) == list(range(1, 61))


def test_no_request_fails_while_one_of_two_instances_is_gone(front: Front) -> None:
    victim = front.installation.apis[0]
    victim.kill()
    victim.wait(timeout=90)
    with front.client() as http:
        assert {http.get("/api/v1/jobs").status_code for _ in range(20)} == {200}
        # nothing reached the dead one, so even what changes something may go to the other
        sent = {http.post("/api/v1/jobs", json={"kind": "probe.work", "config": {}}).status_code for _ in range(6)}
    assert sent == {201}


def test_when_no_instance_answers_clients_hear_a_problem_and_the_dashboard_still_opens(front: Front) -> None:
    for victim in front.installation.apis:
        victim.kill()
        victim.wait(timeout=90)
    with front.client() as http:
        answer = http.get("/api/v1/jobs")
        assert http.get("/").status_code == 200
        assert http.get("/jobs?token=test-token").status_code == 503
    assert "connect() failed" in log_of(front)
    assert "test-token" not in log_of(front), "nginx tells of what failed, but not with which token"
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["Retry-After"] == "1"
