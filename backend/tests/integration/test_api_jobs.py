"""The HTTP contract of jobs and studies, and each way to get it wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api_server import Server, make_settings, serving

JOBS = "/api/v1/jobs"


@pytest.fixture(scope="module")
def server(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("data")
    with serving(make_settings(folder, postgres_url, redis_url, headway_max_body_mb=1)) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def submit(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post(JOBS, json={"kind": "probe.work", **body})
    assert response.status_code == 201, response.text
    return response.json()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    body = response.json()
    assert body["status"] == status
    assert body["type"] == "urn:headway:problem:" + body["title"].lower().replace(" ", "-")
    assert body["detail"]
    return body


def fields(response: httpx.Response) -> list[str]:
    return [error["field"] for error in problem(response, 422)["errors"]]


def count(http: httpx.Client) -> int:
    return len(http.get(JOBS, params={"limit": 500}).json()["items"])


def test_submitted_job_is_read_back_as_it_was_answered(http: httpx.Client) -> None:
    job = submit(http, config={"steps": 7}, name="first", tags=["a"], notes="n", priority=3)
    assert (job["state"], job["percent"], job["name"], job["tags"]) == ("queued", 0.0, "first", ["a"])
    assert job["config"]["steps"] == 7
    assert job["created_at"].endswith("Z")
    again = http.get(f"{JOBS}/{job['id']}").json()
    unsteady = {"data_age_seconds"}
    assert {k: v for k, v in again.items() if k not in unsteady} == {k: v for k, v in job.items() if k not in unsteady}


def test_same_idempotency_key_makes_one_job(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "once"}
    made = [http.post(JOBS, json={"kind": "probe.work"}, headers=headers).json()["id"] for _ in range(2)]
    assert made[0] == made[1]


def test_idempotency_key_of_another_job_is_a_conflict(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "taken"}
    http.post(JOBS, json={"kind": "probe.work", "name": "one"}, headers=headers)
    problem(http.post(JOBS, json={"kind": "probe.work", "name": "two"}, headers=headers), 409)


def test_idempotency_key_too_long_is_refused_by_name(http: httpx.Client) -> None:
    response = http.post(JOBS, json={"kind": "probe.work"}, headers={"Idempotency-Key": "k" * 201})
    assert fields(response) == ["Idempotency-Key"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "probe.work", "config": {"steps": -1}}, "config.steps"),
        ({"kind": "probe.work", "config": {"steps": "many"}}, "config.steps"),
        ({"kind": "probe.work", "config": {"stesp": 5}}, "config.stesp"),
        ({"kind": "probe.work", "config": {"fail_at": {"step": 1, "how": "sulk"}}}, "config.fail_at.how"),
        ({"kind": "probe.work", "prioritty": 1}, "prioritty"),
        ({"kind": "probe.work", "priority": 1000}, "priority"),
        ({"kind": "no.such"}, "kind"),
        ({"config": {}}, "kind"),
        ({"kind": "probe.work", "name": "a\u0000b"}, "name"),
        ({"kind": "probe.work", "depends_on": ["aaaaaaaaaaaa"]}, "depends_on.0"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_queued(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    before = count(http)
    assert field in fields(http.post(JOBS, json=body))
    assert count(http) == before


def test_missing_artifact_is_named_and_nothing_is_queued(http: httpx.Client) -> None:
    before = count(http)
    config = {"tokens": "artifact:aaaaaaaaaaaa", "model": "artifact:bbbbbbbbbbbb"}
    named = fields(http.post(JOBS, json={"kind": "activations.extract", "config": config}))
    assert {"config.tokens", "config.model"} & set(named)
    assert count(http) == before


@pytest.mark.parametrize(
    "raw",
    [
        b'{"kind": "probe.work", "config": {"step_seconds": NaN}}',
        b'{"kind": "probe.work", "config": {"step_seconds": Infinity}}',
        b"[]",
        b'"text"',
        b"{",
        b"",
        b"\xff\xfe",
        b'{"kind":' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"kind": "probe.work", "name": "\\ud800"}',
    ],
)
def test_body_that_is_no_finite_json_object_is_refused(http: httpx.Client, raw: bytes) -> None:
    assert fields(http.post(JOBS, content=raw, headers={"Content-Type": "application/json"}))


def test_number_beyond_a_double_is_named(http: httpx.Client) -> None:
    raw = b'{"kind": "probe.work", "config": {"step_seconds": 1e999}}'
    assert fields(http.post(JOBS, content=raw, headers={"Content-Type": "application/json"})) == ["config.step_seconds"]


def test_body_that_is_not_called_json_is_415(http: httpx.Client) -> None:
    problem(http.post(JOBS, content=b'{"kind": "probe.work"}', headers={"Content-Type": "text/plain"}), 415)


def test_body_over_the_limit_is_413(http: httpx.Client) -> None:
    body = {"kind": "probe.work", "notes": "x" * (2 << 20)}
    assert "HEADWAY_MAX_BODY_MB" in problem(http.post(JOBS, json=body), 413)["detail"]


def test_command_takes_no_body(http: httpx.Client) -> None:
    job = submit(http)
    assert fields(http.post(f"{JOBS}/{job['id']}/cancel", json={"now": True})) == [""]
    assert http.post(f"{JOBS}/{job['id']}/cancel", json={}).status_code == 200


def test_unknown_and_wrong_query_parameters_are_named(http: httpx.Client) -> None:
    assert fields(http.get(JOBS, params={"sate": "queued", "limit": 10})) == ["sate"]
    assert fields(http.get(JOBS, params={"limit": 0})) == ["limit"]
    assert fields(http.get(f"{JOBS}?limit=1&limit=2")) == ["limit"]
    assert fields(http.get(JOBS, params={"state": "sleeping"})) == ["state"]
    assert fields(http.get(JOBS, params={"cursor": "nonsense"})) == ["cursor"]
    assert fields(http.get("/api/v1/kinds", params={"q": "x"})) == ["q"]


def test_empty_query_parameters_filter_nothing(http: httpx.Client) -> None:
    submit(http)
    assert http.get(f"{JOBS}?state=&kind=&tag=&q=&cursor=&limit=").json()["items"]


def test_list_is_filtered_and_paged_without_gap_or_repeat(http: httpx.Client) -> None:
    made = [submit(http, tags=["paged"])["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"tag": "paged", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = http.get(JOBS, params=params).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_what_is_not_there_is_404(http: httpx.Client) -> None:
    for path in (
        f"{JOBS}/aaaaaaaaaaaa", f"{JOBS}/aaaaaaaaaaaa/metrics", f"{JOBS}/aaaaaaaaaaaa/logs",
        f"{JOBS}/aaaaaaaaaaaa/events", f"{JOBS}/aaaaaaaaaaaa/history", f"{JOBS}/aaaaaaaaaaaa/checkpoints",
        f"{JOBS}/%00", f"{JOBS}/" + "a" * 500, "/api/v1/studies/aaaaaaaaaaaa", "/api/v1/artifacts/aaaaaaaaaaaa",
        "/api/v1/checkpoints/aaaaaaaaaaaa/download", "/api/v1/nothing", "/api", "/api/v1/jobs/",
    ):  # fmt: skip
        problem(http.get(path), 404)
    problem(http.post(f"{JOBS}/aaaaaaaaaaaa/cancel"), 404)
    problem(http.delete(f"{JOBS}/aaaaaaaaaaaa"), 404)


def test_wrong_method_is_405_and_says_which_are_right(http: httpx.Client) -> None:
    response = http.put(JOBS, json={})
    assert "POST" in problem(response, 405)["detail"]
    assert {"GET", "POST"} <= {name.strip() for name in response.headers["Allow"].split(",")}
    problem(http.get(f"{JOBS}/aaaaaaaaaaaa/cancel"), 405)
    problem(http.post("/somewhere"), 405)


def test_command_that_does_not_fit_the_state_is_409(http: httpx.Client) -> None:
    job = submit(http)
    path = f"{JOBS}/{job['id']}"
    problem(http.delete(path), 409)
    problem(http.post(f"{path}/retry", json={}), 409)
    assert http.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert http.post(f"{path}/cancel").status_code == 200, "cancelling twice is no error"
    problem(http.post(f"{path}/pause"), 409)
    problem(http.post(f"{path}/resume"), 409)
    retried = http.post(f"{path}/retry", json={"config": {"steps": 3}})
    assert retried.status_code == 201, retried.text
    assert (retried.json()["retry_of"], retried.json()["config"]["steps"]) == (job["id"], 3)


def test_queued_job_is_paused_and_resumed(http: httpx.Client) -> None:
    path = f"{JOBS}/{submit(http)['id']}"
    assert http.post(f"{path}/pause").json()["state"] == "paused"
    assert http.post(f"{path}/resume").json()["state"] == "queued"


def test_deleted_job_is_gone(http: httpx.Client) -> None:
    path = f"{JOBS}/{submit(http)['id']}"
    http.post(f"{path}/cancel")
    response = http.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    problem(http.get(path), 404)


def test_study_is_stored_whole_with_its_dependencies(http: httpx.Client) -> None:
    body = {
        "name": "pair",
        "jobs": [{"key": "one", "kind": "probe.work"}, {"key": "two", "kind": "probe.work", "depends_on": ["one"]}],
    }
    response = http.post("/api/v1/studies", json=body)
    assert response.status_code == 201, response.text
    study = response.json()
    one, two = study["jobs"]
    assert (one["key"], one["state"], two["key"], two["state"]) == ("one", "queued", "two", "waiting")
    assert two["waiting_for"] == [one["id"]]
    assert http.get(f"/api/v1/studies/{study['id']}").json()["jobs"][1]["depends_on"] == [one["id"]]
    assert study["id"] in [item["id"] for item in http.get("/api/v1/studies").json()["items"]]


def test_study_with_one_wrong_job_stores_nothing(http: httpx.Client) -> None:
    before = count(http)
    jobs = [{"key": "a", "kind": "probe.work"}, {"key": "b", "kind": "probe.work", "config": {"steps": 0}}]
    assert fields(http.post("/api/v1/studies", json={"name": "bad", "jobs": jobs})) == ["jobs.1.config.steps"]
    assert count(http) == before


def test_readings_of_a_fresh_job_are_empty_and_well_formed(http: httpx.Client) -> None:
    path = f"{JOBS}/{submit(http)['id']}"
    metrics = http.get(f"{path}/metrics").json()
    assert (metrics["names"], metrics["series"]) == ([], [])
    assert http.get(f"{path}/logs").json() == {"items": [], "next": 0}
    assert http.get(f"{path}/logs", params={"tail": 5}).json() == {"items": [], "next": 0}
    assert http.get(f"{path}/checkpoints").json() == {"items": []}
    assert http.get(f"{path}/history").json() == {"items": []}
    assert fields(http.get(f"{path}/metrics", params={"names": "no"})) == ["names"]
    assert http.get(f"{path}/events").json()["next"] >= 0


def test_kinds_operations_hosts_settings_answer(http: httpx.Client) -> None:
    kinds = {kind["name"]: kind for kind in http.get("/api/v1/kinds").json()["items"]}
    assert kinds["probe.work"]["schema"]["properties"]["steps"]["minimum"] == 1
    assert kinds["activations.extract"]["schema"]["properties"]["model"]["x-input"] == "model"
    assert {"active", "queues", "hosts", "gpus", "failures"} == set(http.get("/api/v1/operations").json())
    assert http.get("/api/v1/system/hosts").json() == {"items": []}
    assert http.get("/api/v1/artifacts").json()["next_cursor"] is None


def test_settings_show_no_secret(server: Server, http: httpx.Client) -> None:
    response = http.get("/api/v1/settings")
    shown = {item["name"]: item for item in response.json()["items"]}
    assert shown["HEADWAY_TOKEN"]["value"] is None
    assert shown["HEADWAY_MAX_BODY_MB"] == {
        "name": "HEADWAY_MAX_BODY_MB", "value": 1, "default": 16, "description": "Largest request body the API reads.",
    }  # fmt: skip
    assert server.token not in response.text
    assert "***@" in shown["HEADWAY_REDIS_URL"]["value"]
