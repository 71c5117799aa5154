"""By hand, as a test: `up`, a training, kill -9 of the worker's whole tree; the curve goes on and the mark is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from headway.local.folders import runtime_dir
from headway.local.valkey import free_port
from tests.installation import wait_until

STEPS = 600
WORK = {
    "steps": STEPS,
    "step_seconds": 0.002,
    "rest_seconds": 0.02,
    "inner": 2,
    "checkpoint_every": 25,
    "metrics": 1,
    "seed": 4,
}


@pytest.fixture
def up() -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """A real `headway up` with nothing set but where it lies, and a client of its API."""
    folder = Path(tempfile.mkdtemp(prefix="hwu-", dir="/tmp"))
    folder.chmod(0o755)  # as root, Postgres runs as another account, which must get in
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWAY_", "REDIS_"))}
    environment = kept | {"HEADWAY_DATA_DIR": str(folder / "data"), "HEADWAY_PORT": str(port)}
    with (folder / "up.log").open("wb") as log:
        command = [sys.executable, "-m", "headway.cli.main", "up"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        said = folder / "up.log"
        wait_until(lambda: "Ready" in said.read_text() or process.poll() is not None, 300, "up", every=0.1)
        assert process.poll() is None, said.read_text()
        token = (folder / "data" / "token").read_text().strip()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        ) as client:
            yield psutil.Process(process.pid), client
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=300)
        finally:
            process.kill()
            shutil.rmtree(runtime_dir(folder / "data"), ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def family_of_the_worker_with(up: psutil.Process, job_id: str) -> list[psutil.Process]:
    """The worker that runs the job, and everything below it."""
    for process in up.children(recursive=True):
        if "headway.jobs.process" in process.cmdline() and job_id in process.cmdline()[-1]:
            worker = process.parent()
            assert worker is not None
            return [worker, *worker.children(recursive=True)]
    raise AssertionError(f"no process runs {job_id}")


def test_curve_goes_on_from_the_checkpoint_and_says_where(up: tuple[psutil.Process, httpx.Client]) -> None:
    process, client = up

    def submitted() -> str:
        return str(client.post("/jobs", json={"kind": "probe.work", "config": WORK}).raise_for_status().json()["id"])

    def job(job_id: str) -> dict[str, Any]:
        return client.get(f"/jobs/{job_id}").raise_for_status().json()

    whole, broken = submitted(), submitted()
    wait_until(lambda: job(broken)["percent"] > 30, 200, "a third of it", every=0.1)
    family = family_of_the_worker_with(process, broken)
    assert len(family) >= 3  # the worker and both jobs
    for member in family:
        member.kill()
    for job_id in (whole, broken):
        wait_until(lambda job_id=job_id: job(job_id)["state"] in ("completed", "failed"), 300, "the end", every=0.2)
        assert (job(job_id)["state"], job(job_id)["attempt"], job(job_id)["percent"]) == ("completed", 2, 100)
    asked = {"names": "m0", "layers": "true", "max_points": 10_000}
    told = client.get(f"/jobs/{broken}/metrics", params=asked).raise_for_status().json()
    other = client.get(f"/jobs/{whole}/metrics", params=asked).raise_for_status().json()
    assert told["series"][0]["steps"] == list(range(1, STEPS + 1))
    assert told["series"][0]["values"] == other["series"][0]["values"]
    first, second = told["attempts"]
    assert first["resumed_from_step"] is None
    resumed_from = second["resumed_from_step"]
    assert resumed_from > 0
    assert resumed_from % WORK["checkpoint_every"] == 0
    for layer in told["layers"]:  # what the first attempt did beyond it is kept as its ghost
        assert layer["attempt"] == 1
        assert min(layer["series"][0]["steps"]) == resumed_from + 1
