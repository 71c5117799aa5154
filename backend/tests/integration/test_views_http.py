"""The documented views over HTTP, of a real job: same numbers, filters, aggregates, errors that name the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.installation import Installation, open_installation
from tests.integration.api_server import Server

STEPS = 12


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker("cpu")
        yield opened


@pytest.fixture(scope="module")
def job(installation: Installation, http: httpx.Client) -> str:
    """A job that ran to its end, started by the second version of the training API."""
    config = {"steps": STEPS, "step_seconds": 0.25, "inner": 2}
    started = http.post("/api/v2/training/start", json={"kind": "probe.work", "config": config})
    assert started.status_code == 202, started.text
    assert started.json().keys() == {"job_id", "status"}
    job_id = started.json()["job_id"]
    installation.wait_state(job_id, "completed")
    return job_id


def read(http: httpx.Client, path: str, **query: Any) -> Any:
    response = http.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def fields(response: httpx.Response) -> list[str]:
    assert response.status_code == 422, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    return [error["field"] for error in response.json()["errors"]]


def test_all_views_agree_with_the_job(http: httpx.Client, job: str) -> None:
    truth = read(http, f"/api/v1/jobs/{job}")
    run = read(http, f"/runs/{job}")
    training = read(http, f"/api/v2/training/jobs/{job}/progress")
    session = read(http, f"/api/v1/training/sessions/{job}/progress-unified")
    older = read(http, f"/api/v1/training/sessions/{job}/progress")
    assert run["status"] == session["overallStatus"] == truth["state"] == "completed"
    assert {run["progress_percentage"], training["percentage"], session["overallProgress"]["percentage"]} == {100.0}
    assert run["last_metrics"] == truth["metrics"]
    assert (run["current_step"], run["total_steps"], training["is_complete"]) == (STEPS, STEPS, True)
    assert (training["started_at"], training["updated_at"]) == (truth["started_at"], truth["updated_at"])
    assert older["status"] == truth["phases"][0]["state"]


def test_history_ends_where_the_run_stands(http: httpx.Client, job: str) -> None:
    told = read(http, f"/runs/{job}/progress")
    points = told["progress_history"]
    assert told.keys() == {"run_id", "progress_history"}
    assert [point["timestamp"] for point in points] == sorted(point["timestamp"] for point in points)
    assert [point["progress_percentage"] for point in points] == sorted(p["progress_percentage"] for p in points)
    assert points[-1]["progress_percentage"] == 100.0
    assert {"initializing", "training"} <= {point["phase"] for point in points} <= {None, "initializing", "training"}
    middle = next(point for point in points if point["metrics"])
    assert middle["metrics"].keys() == {"m0", "m1"}


def test_history_metrics_are_those_of_its_step(http: httpx.Client, job: str) -> None:
    curve = read(http, f"/api/v1/jobs/{job}/metrics", names="m0")["series"][0]
    truth = dict(zip(curve["steps"], curve["values"], strict=True))
    for point in read(http, f"/runs/{job}/progress", metrics="m0")["progress_history"]:
        assert point["metrics"] == ({"m0": truth[point["step"]]} if point["step"] else {})


def test_history_is_filtered_by_phase_time_and_number(http: httpx.Client, job: str) -> None:
    path = f"/runs/{job}/progress"
    whole = read(http, path)["progress_history"]
    assert read(http, path, limit=2)["progress_history"] == whole[-2:]
    training = read(http, path, phase="training")["progress_history"]
    assert training == [point for point in whole if point["phase"] == "training"]
    since, until = whole[1]["timestamp"] - 0.0005, whole[2]["timestamp"] + 0.0005
    assert read(http, path, since=since, until=until)["progress_history"] == whole[1:3]
    assert read(http, path, since="2000-01-01T00:00:00Z")["progress_history"] == whole
    assert read(http, path, until="2000-01-01")["progress_history"] == []
    assert read(http, path, phase="saving")["progress_history"] == []


def test_aggregates_are_those_of_the_whole_curve(http: httpx.Client, job: str) -> None:
    values = read(http, f"/api/v1/jobs/{job}/metrics", names="m1")["series"][0]["values"]
    told = read(http, f"/runs/{job}/progress", aggregate=True, metrics="m1")["aggregates"]
    assert told.keys() == {"m1"}
    assert told["m1"] == {
        "current": values[-1], "mean": pytest.approx(sum(values) / len(values)), "min": min(values), "max": max(values),
    }  # fmt: skip


def test_aggregates_keep_to_the_window(http: httpx.Client, job: str) -> None:
    path = f"/runs/{job}/progress"
    whole = read(http, path, aggregate=True)["aggregates"]
    assert read(http, path, aggregate=True, phase="training")["aggregates"] == whole
    assert read(http, path, aggregate=True, phase="initializing")["aggregates"] == {}
    half = next(point for point in read(http, path)["progress_history"] if 0 < (point["step"] or 0) < STEPS)
    early = read(http, path, aggregate=True, until=half["timestamp"])["aggregates"]
    assert early["m0"]["current"] != whole["m0"]["current"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"phase": "dreaming"}, "phase"),
        ({"limit": 0}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"metrics": "lose"}, "metrics"),
        ({"agregate": "true"}, "agregate"),
    ],
)
def test_wrong_filter_is_named(http: httpx.Client, job: str, query: dict[str, Any], field: str) -> None:
    assert fields(http.get(f"/runs/{job}/progress", params=query)) == [field]


@pytest.mark.parametrize(
    "path",
    [
        "/runs/{}",
        "/runs/{}/progress",
        "/api/v2/training/jobs/{}/progress",
        "/api/v1/training/sessions/{}/progress-unified",
        "/api/v1/training/sessions/{}/progress",
    ],
)
def test_views_need_a_token_and_a_job(server: Server, http: httpx.Client, job: str, path: str) -> None:
    assert http.get(path.format("aaaaaaaaaaaa")).status_code == 404
    assert http.get(path.format(job)).headers["Cache-Control"] == "no-store"
    with server.client(token="") as stranger:
        assert stranger.get(path.format(job)).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "no.such", "config": {}}, "kind"),
        ({"kind": "probe.work", "config": {"steps": -1}}, "config.steps"),
        ({"kind": "probe.work"}, "config"),
        ({"kind": "probe.work", "config": {}, "epochs": 3}, "epochs"),
    ],
)
def test_wrong_start_is_named_and_starts_nothing(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    before = len(read(http, "/api/v1/jobs")["items"])
    assert fields(http.post("/api/v2/training/start", json=body)) == [field]
    assert len(read(http, "/api/v1/jobs")["items"]) == before


def test_same_idempotency_key_starts_one_training(http: httpx.Client) -> None:
    body = {"kind": "probe.work", "config": {"steps": 1}}
    started = [
        http.post("/api/v2/training/start", json=body, headers={"Idempotency-Key": "once"}).json()["job_id"]
        for _ in range(2)
    ]
    assert started[0] == started[1]
