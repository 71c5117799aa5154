"""A whole study on real input, from the queue to a Socket.IO client; then the dashboard as a person uses it.

On one installation: what the dashboard shows, refuses, stops, compares and survives are real jobs, and the study's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio

from headway.local import postgres, valkey
from headway.local.folders import prepare_data_dir
from tests.acceptance.browser import KEEP_SCREENSHOTS, keep, needs_chromium, run_script
from tests.acceptance.studies import STUDY
from tests.feature_indexes import add_index
from tests.installation import Installation, open_installation
from tests.services import fresh_database, running

MID_TRAINING_PERCENT = 40.0
TOKEN = "test-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SMALL = {"steps": 12, "step_seconds": 0.02, "inner": 2}
LONG_TRAINING = {"epochs": 300, "d_sae": 1024, "batch_rows": 1024}
ENDLESS = {"steps": 100_000, "step_seconds": 0.001, "rest_seconds": 0.02, "metrics": 3, "checkpoint_every": 40}


class Watcher:
    """A client that keeps every job object it was pushed, in order, and each new point of one job."""

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
        await self.client.connect(address, auth={"token": TOKEN}, transports=["websocket"])
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


@dataclass(frozen=True)
class Study:
    """The study once it is over: its jobs by their keys, and who watched them."""

    jobs: dict[str, str]
    watcher: Watcher


@dataclass(frozen=True)
class Site:
    """An installation with an API."""

    installation: Installation
    address: str

    def visit(self, script: str, **named: str) -> None:
        """Run a script of the browser against this installation."""
        run_script(script, BASE_URL=self.address, TOKEN=TOKEN, **named)

    @contextmanager
    def endless(self, *names: str) -> Iterator[list[str]]:
        """Jobs that run, well under way; what is left of them is cancelled, so that it holds up no other test."""
        jobs = [self.installation.submit(config=ENDLESS, name=name) for name in names]
        try:
            for job in jobs:
                self.installation.wait(job, lambda view: view.state == "running" and (view.step or 0) > 60)
            yield jobs
        finally:
            for job in jobs:
                httpx.post(f"{self.address}/api/v1/jobs/{job}/cancel", headers=BEARER)


@pytest.fixture(scope="module")
def site(postgres_url: str, redis_url: str) -> Iterator[Site]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker(HEADWAY_SLOTS="gpu=1,cpu=4,io=2")
        opened.start_worker("system", beat=True)
        address = opened.start_api()
        yield Site(opened, address)


@pytest.fixture(scope="module")
def study(site: Site) -> Study:
    """The small study, sent over REST and watched to its end."""
    watcher = Watcher()

    async def run() -> dict[str, str]:
        answer = await asyncio.to_thread(httpx.post, f"{site.address}/api/v1/studies", json=STUDY, headers=BEARER)
        assert answer.status_code == 201, answer.text
        jobs = {job["key"]: job["id"] for job in answer.json()["jobs"]}
        await watcher.follow(site.address, jobs["sae"])
        return jobs

    return Study(asyncio.run(run()), watcher)


@pytest.fixture(scope="module")
def other_site(cluster: postgres.Cluster) -> Iterator[tuple[Installation, str]]:
    """A second installation on this host, without a worker: its own database, queue, data directory and port."""
    with tempfile.TemporaryDirectory(prefix="hw-", dir="/tmp") as made_dir, fresh_database(cluster) as url:
        folder = Path(made_dir)
        prepare_data_dir(folder)
        made = valkey.prepare_queue(folder)
        with running(made.command, signal.SIGTERM, folder / "logs" / "valkey.log"):
            valkey.wait_ready(made.url)
            with open_installation(url, made.url, HEADWAY_TOKEN="other-token") as opened:
                yield opened, opened.start_api()


def in_chromium(test: Callable[..., None]) -> Callable[..., None]:
    """A test of the dashboard."""
    return pytest.mark.browser(needs_chromium(test))


def test_small_study_reaches_a_client_as_it_happens_and_ends_with_a_real_sae(site: Site, study: Study) -> None:
    with httpx.Client(base_url=f"{site.address}/api/v1", headers=BEARER, timeout=30) as http:
        for job in study.jobs.values():
            truth = http.get(f"/jobs/{job}").json()
            assert truth["state"] == "completed", truth["error"]
            _assert_told_truly(study.watcher.pushed[job], truth)
        series = {each["name"]: each for each in http.get(f"/jobs/{study.jobs['sae']}/metrics").json()["series"]}
        assert series["fvu"]["values"][-1] < series["fvu"]["values"][0]
        assert study.watcher.points["loss"] == series["loss"]["steps"]
        made = http.get("/artifacts", params={"type": "sae"}).json()["items"]
        assert [artifact["state"] for artifact in made] == ["ready"]


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


@in_chromium
def test_form_names_the_field_of_a_wrong_config_and_queues_nothing(site: Site) -> None:
    site.visit("submit_refused")


@in_chromium
def test_one_browser_stays_signed_in_to_two_installations(site: Site, other_site: tuple[Installation, str]) -> None:
    other, other_address = other_site
    site.installation.submit(config=SMALL, name="job of the one")
    other.submit(config=SMALL, name="job of the other")
    site.visit("two_installations", OTHER_URL=other_address, OTHER_TOKEN="other-token")


@in_chromium
def test_jobs_are_compared_and_run_again_with_a_change_that_is_shown(site: Site, tmp_path: Path) -> None:
    installation = site.installation
    first = installation.submit(config=SMALL, name="first")
    second = installation.submit(config=SMALL | {"step_seconds": 0.04, "seed": 1}, name="second")
    fail = {"fail_at": {"step": 5, "how": "oom", "attempts": 9}}
    failed = installation.submit(config=SMALL | fail, name="too large")
    for job in (first, second):
        installation.wait_state(job, "completed")
    installation.wait_state(failed, "failed")
    site.visit("compare_and_retry", IDS=f"{first},{second}", FAILED_ID=failed, OUT_DIR=str(tmp_path))


@in_chromium
def test_system_operations_and_results_show_what_there_is(site: Site, study: Study) -> None:
    cleaned = site.installation.submit("dataset.dedupe", {"dataset": f"job:{study.jobs['text']}/dataset"})
    with site.endless("in the operations") as (job,):
        site.installation.wait_state(cleaned, "completed")
        site.visit("pages", JOB_ID=job, MADE_ID=cleaned)


@in_chromium
def test_features_are_browsed_searched_and_labelled(site: Site) -> None:
    add_index(site.installation, "features1", {"layer3.resid_post": 330, "layer5.resid_post": 66})
    site.visit("features", INDEX="features1")


@in_chromium
def test_buttons_pause_resume_and_cancel(site: Site) -> None:
    with site.endless("to be paused", "to be cancelled") as jobs:
        site.visit("controls", JOB_ID=jobs[0], OTHER_ID=jobs[1])
        assert [site.installation.job(job).state for job in jobs] == ["cancelled", "cancelled"]


@in_chromium
def test_curve_goes_on_after_a_kill_and_the_resumed_part_is_marked(site: Site, tmp_path: Path) -> None:
    with site.endless("killed in mid-training") as (job,):
        group = str(site.installation.process_group(job))
        site.visit("killed_job", JOB_ID=job, PROCESS_GROUP=group, OUT_DIR=str(tmp_path))
    keep(tmp_path, job_page_resumed="job-resumed")


@in_chromium
def test_job_page_lives_while_a_real_sae_trains(site: Site, study: Study, tmp_path: Path) -> None:
    wanted = MID_TRAINING_PERCENT if os.environ.get(KEEP_SCREENSHOTS) else 1.0
    activations = {"activations": f"job:{study.jobs['activations']}/activations"}
    config = STUDY["jobs"][-1]["config"] | activations | LONG_TRAINING
    sae = site.installation.submit("sae.train", config)
    site.installation.wait(sae, lambda job: job.phase == "training" and job.percent > wanted, timeout=300)
    site.visit("job_page", JOB_ID=sae, OUT_DIR=str(tmp_path))
    keep(tmp_path, job_page="job-light", job_page_dark="job-dark", job_page_phone="job-phone")
