"""An API instance as a process of its own: what it loads, how it logs, how it stops; and what it does in trouble."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headway.local.valkey import free_port
from headway.parent_death import PARENT_PID
from tests.installation import wait_until
from tests.integration.api_server import Server, make_settings, serving

RUN = (
    "import sys; from headway.api.app import serve; from headway.settings import load_settings;"
    "from headway.errors import HeadwayError; from headway.leaving import leave\n"
    "try: serve(load_settings())\n"
    "except HeadwayError as error: sys.exit(str(error))\n"
    "print(*sys.modules); leave()"
)
HEAVY = {"torch", "alembic", "celery", "transformers", "numpy"}


@contextmanager
def instance(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The process, ended in any case."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        env={**os.environ, "PYTHONPATH": "backend", PARENT_PID: str(os.getpid()), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def environment_of(folder: Path, postgres_url: str, redis_url: str, port: int) -> dict[str, str]:
    return {
        "HEADWAY_DATA_DIR": str(folder),
        "HEADWAY_DATABASE_URL": postgres_url,
        "HEADWAY_REDIS_URL": redis_url,
        "HEADWAY_PORT": str(port),
    }


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_loads_nothing_heavy_logs_json_without_secrets_and_stops(
    postgres_url: str, redis_url: str, data_dir: Path, number: signal.Signals
) -> None:
    port = free_port()
    with instance(environment_of(data_dir, postgres_url, redis_url, port)) as process:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 200, "readiness")
        token = (data_dir / "token").read_text()
        httpx.get(f"http://127.0.0.1:{port}/jobs?token={token}", trust_env=False)
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "traced-request"}
        listed = httpx.get(f"http://127.0.0.1:{port}/api/v1/jobs", headers=headers, trust_env=False)
        assert listed.status_code == 200
        process.send_signal(number)
        output, log = process.communicate(timeout=120)
    assert process.returncode == 0
    assert not HEAVY & set(output.split())
    assert token not in log
    events = [json.loads(line) for line in log.splitlines()]
    assert {event["service"] for event in events} == {"api"}
    (traced,) = [event for event in events if event.get("request_id") == "traced-request"]
    assert (traced["event"], traced["path"], traced["status"]) == ("request", "/api/v1/jobs", 200)


def test_port_in_use_is_said_with_the_mend(postgres_url: str, redis_url: str, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with instance(environment_of(data_dir, postgres_url, redis_url, port)) as process:
            _, log = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Set HEADWAY_PORT to a free one" in log


@pytest.fixture
def server(postgres_url: str, redis_url: str, data_dir: Path) -> Iterator[Server]:
    with serving(make_settings(data_dir, postgres_url, redis_url)) as running:
        yield running


def test_without_postgres_it_says_503_and_lives(redis_url: str, data_dir: Path) -> None:
    settings = make_settings(data_dir, "postgresql://app@127.0.0.1:1/app", redis_url)
    with serving(settings) as server, server.client() as http:
        assert http.get("/healthz").json()["status"] == "ok"
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["services"]["redis"]) == (503, "ok")
        assert ready.json()["services"]["postgres"] != "ok"
        response = http.get("/api/v1/jobs")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert "Postgres" in response.json()["detail"]


def test_readiness_answers_within_its_bound_when_postgres_hangs(redis_url: str, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        url = f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/app"
        with serving(make_settings(data_dir, url, redis_url)) as server, server.client() as http:
            # far longer than its bound, far shorter than a connection that is waited for
            assert http.get("/readyz", timeout=5).status_code == 503
            assert http.get("/healthz").status_code == 200


def test_busy_pool_answers_503_instead_of_queueing_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.api.pool.WAIT_SECONDS", 0.2)
    threads = server.settings.headway_db_pool_size - 1
    with server.api.runtime.engine.connect() as blocker:
        blocker.exec_driver_sql("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")

        def ask() -> None:
            with server.client() as http:
                http.get("/api/v1/jobs")

        stuck = [threading.Thread(target=ask, daemon=True) for _ in range(threads)]
        for thread in stuck:
            thread.start()
        wait_until(lambda: server.api.pool.busy == threads, 60, "a full pool")
        with server.client() as http:
            assert http.get("/api/v1/jobs").status_code == 503
            assert http.get("/healthz").status_code == 200
            assert http.get("/api/v1/session").status_code == 200
        blocker.rollback()
    for thread in stuck:
        thread.join(10)
    with server.client() as http:
        assert http.get("/api/v1/jobs").status_code == 200


def test_prometheus_counts_requests_jobs_and_queues(server: Server) -> None:
    with server.client() as http:
        http.post("/api/v1/jobs", json={"kind": "probe.work"})
        http.get("/api/v1/jobs/aaaaaaaaaaaa")
        response = http.get("/metrics")
    text = response.text
    assert response.headers["Content-Type"].startswith("text/plain")
    assert 'headway_jobs{state="queued"}' in text
    assert 'headway_queue_jobs{queue="cpu",state="queued"}' in text
    assert "headway_socket_clients 0.0" in text
    labels = 'method="GET",route="/api/v1/jobs/{job_id}",status="404"'
    assert f"headway_request_duration_seconds_count{{{labels}}} 1.0" in text


def checkpoint(server: Server, job_id: str, path: str) -> str:
    checkpoint_id = f"checkpoint{len(path) % 100:02}"
    with server.api.runtime.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO checkpoints (id, job_id, attempt, step, host, path, bytes, best) "
            "VALUES (%s, %s, 1, 40, %s, %s, 10, false)",
            (checkpoint_id, job_id, socket.gethostname(), path),
        )
    return f"/api/v1/checkpoints/{checkpoint_id}/download"


@pytest.fixture
def job_id(server: Server) -> Any:
    with server.client() as http:
        return http.post("/api/v1/jobs", json={"kind": "probe.work"}).json()["id"]


def test_checkpoint_is_downloaded_whole_as_tar(server: Server, job_id: str, data_dir: Path) -> None:
    folder = data_dir / "jobs" / job_id / "1" / "checkpoints" / "step-40"
    (folder / "inner").mkdir(parents=True)
    big = os.urandom(3_000_001)
    (folder / "weights.bin").write_bytes(big)
    (folder / "inner" / "state.json").write_text("{}")
    (folder / "empty").touch()
    (folder / "link").symlink_to("/etc/passwd")
    with server.client() as http:
        response = http.get(checkpoint(server, job_id, "checkpoints/step-40"))
    assert response.headers["Content-Disposition"] == f'attachment; filename="{job_id}-step-40.tar"'
    assert int(response.headers["Content-Length"]) == len(response.content)
    with tarfile.open(fileobj=io.BytesIO(response.content)) as archive:
        root = f"{job_id}-step-40"
        assert set(archive.getnames()) == {f"{root}/weights.bin", f"{root}/inner/state.json", f"{root}/empty"}
        member = archive.extractfile(f"{root}/weights.bin")
        assert member is not None
        assert member.read() == big


@pytest.mark.parametrize(
    "path", ["../../../../../../etc", "../../../token", "/etc", "out", "../..", "checkpoints/gone"]
)
def test_checkpoint_outside_the_jobs_or_gone_is_404(server: Server, job_id: str, data_dir: Path, path: str) -> None:
    attempt = data_dir / "jobs" / job_id / "1"
    attempt.mkdir(parents=True)
    (attempt / "out").symlink_to("/etc")
    with server.client() as http:
        assert http.get(checkpoint(server, job_id, path)).status_code == 404


def test_openapi_and_its_page_come_from_this_host_alone(server: Server) -> None:
    with server.client() as http:
        made = http.get("/api/openapi.json").json()
        page = http.get("/api/docs").text
        assert "/api/v1/studies" in made["paths"]
        assert "http" not in page.replace("http-equiv", "")
        for file in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
            assert http.get(f"/api/docs/{file}").status_code == 200
        assert http.get("/api/docs/index.html").status_code == 404


def test_dashboard_is_served_for_every_page_and_cached_by_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.client("") as http:
        monkeypatch.setattr("headway.api.files.DASHBOARD", tmp_path / "missing")
        assert "make setup" in http.get("/").text
        monkeypatch.setattr("headway.api.files.DASHBOARD", tmp_path / "dist")
        (tmp_path / "dist" / "assets").mkdir(parents=True)
        (tmp_path / "dist" / "index.html").write_text("<p>the page")
        (tmp_path / "dist" / "assets" / "app-1a2b.js").write_text("1")
        (tmp_path / "secret.txt").write_text("no")
        for path in ("/", "/jobs/abc", "/studies", "/index.html"):
            response = http.get(path)
            assert (response.text, response.headers["Cache-Control"]) == ("<p>the page", "no-cache")
        asset = http.get("/assets/app-1a2b.js")
        assert (asset.text, "immutable" in asset.headers["Cache-Control"]) == ("1", True)
        assert "javascript" in asset.headers["Content-Type"]
        assert http.get("/assets/gone.js").status_code == 404
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/..%5csecret.txt"):
            assert http.get(path).text != "no"
