"""Jobs side by side over HTTP, from their real history and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.installation import Installation, open_installation
from tests.integration.api_server import serving

FAST, SLOW = 0.02, 0.06


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_SLOTS="cpu=1") as opened:
        opened.start_worker("cpu")
        yield opened


@pytest.fixture(scope="module")
def http(installation: Installation) -> Iterator[httpx.Client]:
    with serving(installation.settings) as server, server.client() as client:
        yield client


@pytest.fixture(scope="module")
def jobs(installation: Installation) -> list[str]:
    """A fast and a slow job that did the same."""
    made = [
        installation.submit(config={"steps": 40, "step_seconds": seconds, "inner": 1}, name=name)
        for name, seconds in (("fast", FAST), ("slow", SLOW))
    ]
    for job_id in made:
        installation.wait_state(job_id, "completed")
    return made


def compare(http: httpx.Client, jobs: list[str], **query: Any) -> dict[str, Any]:
    response = http.get("/api/v1/compare", params={"ids": ",".join(jobs), **query})
    assert response.status_code == 200, response.text
    return response.json()


def test_verdict_names_the_faster_job_and_the_phase(http: httpx.Client, jobs: list[str]) -> None:
    told = compare(http, jobs)
    assert told["verdict"]["fastest"] == jobs[0]
    assert told["verdict"]["comparisons"][0]["gained_in"] == "working"
    assert told["verdict"]["text"].startswith("fast was ")
    assert told["config_differs"] == ["step_seconds"]
    assert [each["state"] for each in told["jobs"]] == ["completed", "completed"]


@pytest.mark.parametrize("align", ["time", "step", "phase"])
def test_curves_share_an_axis_and_rise_along_it(http: httpx.Client, jobs: list[str], align: str) -> None:
    told = compare(http, jobs, align=align, names="m0")
    assert (told["align"], told["phases"]) == (align, ["warming", "working"])
    for curve in told["progress"]:
        assert curve["x"] == sorted(curve["x"])
        assert curve["percent"] == sorted(curve["percent"])
    (metric,) = told["metrics"]
    assert [curve["job_id"] for curve in metric["curves"]] == jobs
    for curve in metric["curves"]:
        assert len(curve["x"]) == len(curve["values"]) == 40
        assert curve["x"] == sorted(curve["x"])
    if align == "step":
        assert metric["curves"][0]["x"] == metric["curves"][1]["x"] == [float(step) for step in range(1, 41)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"ids": "abc"}, "ids"),
        ({"ids": "{a},{a}"}, "ids"),
        ({"ids": "{a},{b}", "align": "colour"}, "align"),
        ({"ids": "{a},{b}", "names": "lose"}, "names"),
        ({}, "ids"),
    ],
)
def test_wrong_question_is_named(http: httpx.Client, jobs: list[str], query: dict[str, str], field: str) -> None:
    filled = {name: value.format(a=jobs[0], b=jobs[1]) for name, value in query.items()}
    response = http.get("/api/v1/compare", params=filled)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_missing_job_is_not_found(http: httpx.Client, jobs: list[str]) -> None:
    assert http.get("/api/v1/compare", params={"ids": f"{jobs[0]},aaaaaaaaaaaa"}).status_code == 404
