"""A real `headway up`, API, workers, embedded services: the command line on it, and kill -9 of a worker and of all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from headway.local.installation import read_info
from headway.local.programs import headway_command
from headway.local.valkey import free_port
from tests.installation import wait_until

Headway = Callable[..., subprocess.CompletedProcess[str]]
STEPS = 600
WORK = {
    "steps": STEPS, "step_seconds": 0.002, "rest_seconds": 0.02, "inner": 2, "checkpoint_every": 25, "metrics": 1,
    "seed": 4,
}  # fmt: skip
LONG = ("steps=1000000", "step_seconds=0.001", "rest_seconds=0.02", "checkpoint_every=10")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="hw-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWAY_", "REDIS_"))}
        yield kept | {"HEADWAY_DATA_DIR": f"{folder}/data", "HEADWAY_PORT": str(free_port())}


@pytest.fixture(scope="module")
def headway(environment: dict[str, str]) -> Headway:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            headway_command(*arguments), env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def start_up(environment: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(headway_command("up"), env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any(line.startswith("Ready") for line in process.stdout)
    return process


@dataclass
class Up:
    """The `up` that runs now."""

    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def up(environment: dict[str, str]) -> Iterator[Up]:
    started = Up(start_up(environment))
    yield started
    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(timeout=120) == 0


def test_nothing_running_is_said_with_the_mend(headway: Headway) -> None:
    done = headway("ls")
    assert done.returncode == 1
    assert "headway up" in done.stderr


@pytest.mark.usefixtures("up")
def test_a_job_is_watched_to_its_end(headway: Headway) -> None:
    done = headway("run", "probe.work", "steps=5", "metrics=1", "--name", "short", "--tag", "t", "--watch")
    assert done.returncode == 0, done.stderr
    assert "100.00 %" in done.stdout.splitlines()[-1]
    page = json.loads(headway("ls", "--json", "--tag", "t").stdout)
    assert [(job["name"], job["state"]) for job in page["items"]] == [("short", "completed")]
    assert "short" in headway("ls").stdout


@pytest.mark.usefixtures("up")
def test_a_failed_job_ends_with_its_reason_and_exit_code_1(headway: Headway) -> None:
    done = headway("run", "probe.work", "steps=5", "fail_at.step=2", "fail_at.how=exception", "--watch")
    assert done.returncode == 1
    assert "headway retry" in done.stderr
    job_id = done.stdout.split()[0]
    told = headway("logs", job_id)
    assert told.returncode == 0
    assert headway("logs", job_id, "--follow").stdout == told.stdout
    again = headway("retry", job_id, "fail_at=null", "--watch")
    assert again.returncode == 0, again.stderr


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "probe.work", "steps=-1"), "config.steps"),
        (("run", "probe.work", "stpes=3"), "config.stpes"),
        (("run", "probe.work", "steps"), "steps: is not key=value"),
        (("run", "no.such"), "kind"),
        (("run", "dataset.tokenize", "dataset=artifact:aaaaaaaaaaaa", "model=artifact:aaaaaaaaaaaa"), "config.dataset"),
    ],
)
def test_wrong_input_names_the_field_and_queues_nothing(
    headway: Headway, environment: dict[str, str], arguments: tuple[str, ...], named: str
) -> None:
    before = [job["id"] for job in _jobs(environment)]
    done = headway(*arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert [job["id"] for job in _jobs(environment)] == before


@pytest.mark.usefixtures("up")
def test_pause_resume_and_cancel_are_one_word_each(headway: Headway, environment: dict[str, str]) -> None:
    job_id = headway("run", "probe.work", *LONG).stdout.strip()
    wait_until(lambda: _job(environment, job_id)["state"] == "running")
    assert headway("pause", job_id).returncode == 0
    wait_until(lambda: _job(environment, job_id)["state"] == "paused")
    assert headway("resume", job_id).returncode == 0
    assert headway("cancel", job_id).returncode == 0
    assert headway("watch", job_id).returncode == 3


@pytest.mark.usefixtures("up")
def test_doctor_finds_all_well_and_runs_a_probe(headway: Headway) -> None:
    done = headway("doctor", "--run")
    assert done.returncode == 0, done.stdout
    assert "accepted, role admin" in done.stdout
    assert "100.00 %" in done.stdout


def test_open_prints_the_address_that_signs_in(headway: Headway, up: Up, environment: dict[str, str]) -> None:
    info = read_info(Path(environment["HEADWAY_DATA_DIR"]))
    assert info is not None
    assert info.pid == up.process.pid
    assert headway("open").stdout.strip() == info.dashboard


def test_a_wrong_setting_is_named(environment: dict[str, str]) -> None:
    wrong = environment | {"HEADWAY_PORT": "many", "HEADWAY_LEASE_SECONDS": "-3"}
    done = subprocess.run(headway_command("up"), env=wrong, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 2
    assert "HEADWAY_PORT" in done.stderr
    assert "HEADWAY_LEASE_SECONDS" in done.stderr


@pytest.mark.usefixtures("up")
def test_files_are_uploaded_and_named_in_a_config(
    headway: Headway, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/a.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    (tmp_path / "pairs/notes.doc").write_text("left out")
    sent = headway("upload", str(tmp_path / "pairs"), "--name", "Pairs")
    assert sent.stdout.startswith("artifact:"), sent.stderr
    assert "Left out: notes.doc" in sent.stderr
    refused = headway("upload", str(tmp_path / "pairs/notes.doc"), "--type", "model")
    said = " ".join(refused.stderr.split())  # lines end where the terminal does
    assert (refused.returncode, "holds no file of a model: it takes" in said) == (2, True), said
    (tmp_path / "cats.txt").write_text("the cat sat\n")
    run = headway("run", "dataset.dedupe", f"dataset=@{tmp_path / 'cats.txt'}")
    assert run.returncode == 0, run.stderr
    job = _job(environment, run.stdout.strip())
    assert job["config"]["dataset"].startswith("artifact:")
    wrong = headway("run", "dataset.dedupe", f"dataset=@{tmp_path / 'cats.txt'}", "min_characters=-1")
    assert (wrong.returncode, "config.min_characters" in wrong.stderr, "Upload" in wrong.stderr) == (2, True, False)
    missing = headway("run", "dataset.dedupe", "dataset=@/nowhere.txt")
    assert (missing.returncode, "config.dataset: there is no /nowhere.txt" in missing.stderr) == (2, True)


def family_of_the_worker_with(up: subprocess.Popen[str], job_id: str) -> list[psutil.Process]:
    """The worker that runs the job, and everything below it."""
    for process in psutil.Process(up.pid).children(recursive=True):
        if "headway.jobs.process" in process.cmdline() and job_id in process.cmdline()[-1]:
            worker = process.parent()
            assert worker is not None
            return [worker, *worker.children(recursive=True)]
    raise AssertionError(f"no process runs {job_id}")


def test_curve_goes_on_from_the_checkpoint_and_says_where(up: Up, environment: dict[str, str]) -> None:
    with api(environment) as client:
        whole, broken = (
            client.post("/jobs", json={"kind": "probe.work", "config": WORK}).raise_for_status().json()["id"]
            for _ in range(2)
        )
        wait_until(lambda: _job(environment, broken)["percent"] > 30)
        family = family_of_the_worker_with(up.process, broken)
        assert len(family) >= 3  # the worker and both jobs
        for member in family:
            member.kill()
        for job_id in (whole, broken):
            wait_until(lambda job_id=job_id: _job(environment, job_id)["state"] in ("completed", "failed"))
            job = _job(environment, job_id)
            assert (job["state"], job["attempt"], job["percent"]) == ("completed", 2, 100)
        asked = {"names": "m0", "layers": "true", "max_points": 10_000}
        told, other = (
            client.get(f"/jobs/{job_id}/metrics", params=asked).raise_for_status().json() for job_id in (broken, whole)
        )
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


def test_killing_up_ends_its_running_job_which_goes_on_after_the_next_start(
    headway: Headway, up: Up, environment: dict[str, str]
) -> None:
    job_id = headway("run", "probe.work", *LONG).stdout.strip()
    wait_until(lambda: _job(environment, job_id)["percent"] > 0)
    family = psutil.Process(up.process.pid).children(recursive=True)
    assert any("headway.jobs.process" in " ".join(member.cmdline()) for member in family)
    up.process.kill()
    up.process.wait()
    wait_until(lambda: not [member for member in family if member.is_running()])

    up.process = start_up(environment)
    wait_until(lambda: (job := _job(environment, job_id))["state"] == "running" and job["attempt"] == 2)
    assert headway("cancel", job_id).returncode == 0


def _job(environment: dict[str, str], job_id: str) -> dict[str, Any]:
    return next(job for job in _jobs(environment) if job["id"] == job_id)


def _jobs(environment: dict[str, str]) -> list[dict[str, Any]]:
    """The jobs as the API tells them: to start the command line takes most of a second."""
    with api(environment) as client:
        return client.get("/jobs").raise_for_status().json()["items"]


def api(environment: dict[str, str]) -> httpx.Client:
    """A client of the API of the `up` that runs now."""
    info = read_info(Path(environment["HEADWAY_DATA_DIR"]))
    assert info is not None
    bearer = {"Authorization": f"Bearer {info.token}"}
    return httpx.Client(base_url=f"{info.url}/api/v1", headers=bearer, timeout=60)
