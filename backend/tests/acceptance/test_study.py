"""A whole study on real input, from the queue to a Socket.IO client, through the real worker and API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import socketio

from tests.acceptance.studies import STUDY
from tests.installation import Installation, open_installation

BEARER = {"Authorization": "Bearer test-token"}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker()
        opened.start_worker("system", beat=True)
        yield opened


class Watcher:
    """A client that keeps every job object it was pushed, in order."""

    def __init__(self) -> None:
        self.pushed: dict[str, list[dict[str, Any]]] = {}
        self.points: dict[str, list[int]] = {}
        self.client = socketio.AsyncClient()
        self.client.on("job:changed", self._changed)
        self.client.on("job:metrics", self._metrics)
        self.done = asyncio.Event()

    async def follow(self, address: str, waited_for: str) -> None:
        """Follow everything until the job `waited_for` is over."""
        self.waited_for = waited_for
        await self.client.connect(address, auth={"token": "test-token"}, transports=["websocket"])
        for channel in ("operations", f"jobs/{waited_for}/metrics"):
            answer = await self.client.call("subscribe", {"channel": channel}, timeout=30)
            assert answer["ok"], answer
        await asyncio.wait_for(self.done.wait(), 400)
        await self.client.disconnect()

    def _changed(self, payload: dict[str, Any]) -> None:
        job = payload["job"]
        self.pushed.setdefault(job["id"], []).append(job)
        if job["state"] == "failed" or (job["id"] == self.waited_for and job["state"] == "completed"):
            self.done.set()

    def _metrics(self, payload: dict[str, Any]) -> None:
        for series in payload["points"]:
            self.points.setdefault(series["name"], []).extend(series["steps"])


def test_small_study_reaches_a_client_as_it_happens_and_ends_with_a_real_sae(installation: Installation) -> None:
    address = installation.start_api()
    with httpx.Client(base_url=f"{address}/api/v1", headers=BEARER, timeout=30) as http:
        watcher, jobs = asyncio.run(_run_study(address, http))
        for job in jobs:
            truth = http.get(f"/jobs/{job['id']}").json()
            assert truth["state"] == "completed", truth["error"]
            _assert_told_truly(watcher.pushed[job["id"]], truth)
        sae = jobs[-1]["id"]
        series = {each["name"]: each for each in http.get(f"/jobs/{sae}/metrics").json()["series"]}
        assert series["fvu"]["values"][-1] < series["fvu"]["values"][0]
        assert watcher.points["loss"] == series["loss"]["steps"]
        made = http.get("/artifacts", params={"type": "sae"}).json()["items"]
        assert [artifact["state"] for artifact in made] == ["ready"]


async def _run_study(address: str, http: httpx.Client) -> tuple[Watcher, list[dict[str, Any]]]:
    watcher = Watcher()
    answer = await asyncio.to_thread(http.post, "/studies", json=STUDY)
    assert answer.status_code == 201, answer.text
    jobs = answer.json()["jobs"]
    await watcher.follow(address, jobs[-1]["id"])
    return watcher, jobs


def _assert_told_truly(pushed: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    revisions = [job["revision"] for job in pushed]
    assert revisions == sorted(revisions)
    assert {k: v for k, v in pushed[-1].items() if k != "data_age_seconds"} == {
        k: v for k, v in truth.items() if k != "data_age_seconds"
    }
    for attempt in {job["attempt"] for job in pushed}:
        percents = [job["percent"] for job in pushed if job["attempt"] == attempt]
        assert percents == sorted(percents)
    assert all((job["percent"] == 100.0) == (job["state"] == "completed") for job in pushed)
