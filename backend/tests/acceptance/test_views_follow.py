"""One running job followed at once over REST, SSE (cut and resumed), a raw WebSocket and Socket.IO: the same truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import socketio

from tests.installation import Installation, open_installation

BEARER = {"Authorization": "Bearer test-token"}
CONFIG = {"steps": 50, "step_seconds": 0.08, "inner": 4, "checkpoint_every": 0}
CUT_AFTER = 4
Told = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker("cpu")
        yield opened


def numbers_of_job(job: dict[str, Any]) -> dict[str, Any]:
    """What every view tells, out of the job object."""
    counters = {counter["unit"]: counter for counter in job["counters"]}
    step = counters.get("step")
    return {
        "status": job["state"],
        "progress_percentage": job["percent"],
        "eta_seconds": job["eta_seconds"],
        "last_metrics": job["metrics"],
        "current_step": int(step["current"]) if step else job["step"],
    }


def numbers_of_run(run: dict[str, Any]) -> dict[str, Any]:
    """The same out of a run."""
    return {name: run[name] for name in numbers_of_job(_EMPTY_JOB)}


_EMPTY_JOB: dict[str, Any] = {
    "counters": [], "state": "", "percent": 0, "eta_seconds": None, "metrics": {}, "step": None,
}  # fmt: skip


async def follow_events(http: aiohttp.ClientSession, run_id: str) -> list[Told]:
    """What SSE told before the cut and after it."""
    before = await _events(http, run_id, None, stop_after=CUT_AFTER)
    after = await _events(http, run_id, max(before), stop_after=None)
    return [before, after]


async def _events(http: aiohttp.ClientSession, run_id: str, last: int | None, stop_after: int | None) -> Told:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    told: Told = {}
    async with http.get(f"/runs/{run_id}/stream", headers=headers) as response:
        revision = -1
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                revision = int(value)
            elif name == "data":
                assert revision not in told
                told[revision] = json.loads(value)
                if len(told) == stop_after:
                    break
    return told


async def follow_socket(http: aiohttp.ClientSession, run_id: str) -> Told:
    """What the raw WebSocket told."""
    told: Told = {}
    async with http.ws_connect(f"/ws/runs/{run_id}") as socket:
        async for message in socket:
            run = json.loads(message.data)
            told[run["revision"]] = run
        assert socket.close_code == 1000
    return told


async def follow_pushes(address: str, run_id: str) -> Told:
    """What Socket.IO told."""
    told: Told = {}
    over = asyncio.Event()
    client = socketio.AsyncClient()

    def hear(payload: dict[str, Any]) -> None:
        told[payload["revision"]] = payload["job"]
        if payload["job"]["state"] == "completed":
            over.set()

    client.on("job:progress", hear)
    await client.connect(address, auth={"token": "test-token"}, transports=["websocket"])
    answer = await client.call("subscribe", {"channel": f"jobs/{run_id}/progress"}, timeout=10)
    told[answer["snapshot"]["revision"]] = answer["snapshot"]
    await over.wait()
    await client.disconnect()
    return told


async def poll(http: aiohttp.ClientSession, run_id: str) -> list[dict[str, Any]]:
    """All REST views at moments when the job had the same revision before and after them."""
    moments: list[dict[str, Any]] = []
    while True:
        job = await _read(http, f"/api/v1/jobs/{run_id}")
        run = await _read(http, f"/runs/{run_id}")
        history = await _read(http, f"/runs/{run_id}/progress?limit=1")
        training = await _read(http, f"/api/v2/training/jobs/{run_id}/progress")
        session = await _read(http, f"/api/v1/training/sessions/{run_id}/progress-unified")
        again = await _read(http, f"/api/v1/jobs/{run_id}")
        if job["revision"] == again["revision"]:
            moments.append({"job": job, "run": run, "history": history, "training": training, "session": session})
        if again["state"] == "completed" and job["state"] == "completed":
            return moments


async def _read(http: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def follow(address: str) -> tuple[str, list[Told], Told, Told, list[dict[str, Any]]]:
    async with aiohttp.ClientSession(address, headers=BEARER) as http:
        start = {"kind": "probe.work", "config": CONFIG}
        async with http.post("/api/v2/training/start", json=start) as response:
            run_id = (await response.json())["job_id"]
        async with asyncio.timeout(90):
            events, socket, pushes, polled = await asyncio.gather(
                follow_events(http, run_id),
                follow_socket(http, run_id),
                follow_pushes(address, run_id),
                poll(http, run_id),
            )
    return run_id, events, socket, pushes, polled


def test_all_ways_to_follow_a_job_tell_the_same_at_the_same_revision(installation: Installation) -> None:
    _, events, socket, pushes, polled = asyncio.run(follow(installation.start_api()))
    before, after = events
    assert min(after) > max(before), "what was seen before the cut came again"
    sse = before | after
    for told in (sse, socket, pushes):
        assert list(told) == sorted(told)
    _assert_same_numbers(sse, socket, pushes)
    _assert_same_end(sse, socket, pushes, polled[-1])
    for moment in polled:
        _assert_views_agree(moment)


def _assert_same_numbers(sse: Told, socket: Told, pushes: Told) -> None:
    shared = [sse.keys() & socket.keys(), sse.keys() & pushes.keys(), socket.keys() & pushes.keys()]
    assert all(len(revisions) >= 5 for revisions in shared), [sorted(told) for told in (sse, socket, pushes)]
    for revision in sse.keys() & socket.keys():
        assert sse[revision] == socket[revision]
    for runs in (sse, socket):
        for revision in runs.keys() & pushes.keys():
            assert numbers_of_run(runs[revision]) == numbers_of_job(pushes[revision])


def _assert_same_end(sse: Told, socket: Told, pushes: Told, last: dict[str, Any]) -> None:
    assert max(sse) == max(socket) == max(pushes) == last["job"]["revision"]
    assert last["run"] == {name: value for name, value in sse[max(sse)].items() if name != "revision"}
    assert (last["run"]["progress_percentage"], last["training"]["is_complete"]) == (100.0, True)


def _assert_views_agree(moment: dict[str, Any]) -> None:
    job, run = moment["job"], moment["run"]
    assert numbers_of_run(run) == numbers_of_job(job)
    assert moment["training"]["percentage"] == moment["session"]["overallProgress"]["percentage"] == job["percent"]
    assert moment["session"]["overallProgress"]["etaSeconds"] == job["eta_seconds"]
    assert moment["history"]["progress_history"][-1]["progress_percentage"] == job["percent"]
