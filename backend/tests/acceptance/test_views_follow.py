"""One running job followed at once over REST, SSE (cut and resumed), a raw WebSocket, Socket.IO and its page."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
import socketio

from tests.acceptance.browser import command_of, environment_of, needs_chromium
from tests.installation import open_installation

TOKEN = "test-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CONFIG = {"steps": 70, "step_seconds": 0.01, "rest_seconds": 0.07, "inner": 4, "checkpoint_every": 0}
CUT_AFTER = 4
Told = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Followed:
    """What each way to follow the job told by revision, and the REST views at moments of one revision each."""

    events: list[Told]
    socket: Told
    pushes: Told
    polled: list[dict[str, Any]]
    page: Told


@pytest.fixture(scope="module")
def address(postgres_url: str, redis_url: str) -> Iterator[str]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker("cpu")
        yield opened.start_api()


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
    await client.connect(address, auth={"token": TOKEN}, transports=["websocket"])
    answer = await client.call("subscribe", {"channel": f"jobs/{run_id}/progress"}, timeout=30)
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


@asynccontextmanager
async def open_page(address: str) -> AsyncIterator[Process]:
    """A browser that has the list of jobs open."""
    environment = environment_of(BASE_URL=address, TOKEN=TOKEN)
    script = await asyncio.create_subprocess_exec(
        *command_of("follow_job"), env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        assert script.stdout is not None
        assert script.stderr is not None
        assert await script.stdout.readline() == b'"ready"\n', (await script.stderr.read()).decode()
        yield script
    finally:
        if script.returncode is None:
            script.kill()


async def follow_page(script: Process, run_id: str) -> Told:
    """What the job's page showed."""
    output, complaint = await script.communicate(f"{run_id}\n".encode())
    assert script.returncode == 0, complaint.decode()
    shown = [json.loads(line) for line in output.splitlines()]
    return {each["revision"]: each for each in shown}


async def follow(address: str, page: Process | None) -> Followed:
    async with aiohttp.ClientSession(address, headers=BEARER) as http:
        start = {"kind": "probe.work", "config": CONFIG}
        async with http.post("/api/v2/training/start", json=start) as response:
            run_id = (await response.json())["job_id"]
        async with asyncio.TaskGroup() as following:
            events = following.create_task(follow_events(http, run_id))
            socket = following.create_task(follow_socket(http, run_id))
            pushes = following.create_task(follow_pushes(address, run_id))
            polled = following.create_task(poll(http, run_id))
            shown = following.create_task(follow_page(page, run_id)) if page else None
        return Followed(
            events.result(), socket.result(), pushes.result(), polled.result(), shown.result() if shown else {}
        )


async def follow_all(address: str, *, with_page: bool) -> Followed:
    async with asyncio.timeout(300):
        if not with_page:
            return await follow(address, None)
        async with open_page(address) as page:
            return await follow(address, page)


@pytest.mark.parametrize(
    "with_page", [False, pytest.param(True, id="page", marks=[pytest.mark.browser, needs_chromium])]
)
def test_all_ways_to_follow_a_job_tell_the_same_at_the_same_revision(address: str, with_page: bool) -> None:
    told = asyncio.run(follow_all(address, with_page=with_page))
    before, after = told.events
    assert min(after) > max(before), "what was seen before the cut came again"
    sse, socket, pushes = before | after, told.socket, told.pushes
    for each in (sse, socket, pushes, told.page):
        assert list(each) == sorted(each)
    _assert_same_numbers(sse, socket, pushes)
    _assert_same_end(sse, socket, pushes, told.polled[-1])
    for moment in told.polled:
        _assert_views_agree(moment)
    if with_page:
        _assert_page_shows(told.page, pushes)


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


def _assert_page_shows(page: Told, pushes: Told) -> None:
    shared = page.keys() & pushes.keys()
    assert len(shared) >= 5, (sorted(page), sorted(pushes))
    for revision in sorted(shared):
        job, shown = pushes[revision], page[revision]
        assert (shown["state"], shown["percent"]) == (job["state"], f"{job['percent']:.2f}%")
        assert shown["counters"].strip() == " · ".join(map(_counted, job["counters"]))
        if job["state"] == "running":
            assert shown["eta"].endswith(_arrival(job)), (shown, job)
    assert max(page) == max(pushes)
    assert (page[max(page)]["state"], page[max(page)]["percent"]) == ("completed", "100.00%")


def _counted(counter: dict[str, Any]) -> str:
    return f"{counter['unit'].title()} {counter['current']:,.0f}/{counter['total']:,.0f}"


def _arrival(job: dict[str, Any]) -> str:
    """The clock time of a job's end, as a page tells a near one: an estimate is not counted down between updates."""
    if job["eta_seconds"] is None:
        return "estimating"
    end = datetime.fromisoformat(job["updated_at"]) + timedelta(seconds=job["eta_seconds"])
    return end.strftime("%H:%M:%S")
