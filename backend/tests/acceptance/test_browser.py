"""The dashboard in Chromium as a person uses it, on real jobs: what it shows, refuses, stops, compares, survives."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from headway.local import postgres, valkey
from headway.local.folders import prepare_data_dir
from tests.acceptance.browser import KEEP_SCREENSHOTS, keep, needs_chromium, run_script
from tests.acceptance.studies import STUDY
from tests.feature_indexes import add_index
from tests.installation import Installation, open_installation
from tests.services import fresh_database, running

pytestmark = [pytest.mark.browser, needs_chromium]
MID_TRAINING_PERCENT = 40.0
TOKEN = "test-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SMALL = {"steps": 12, "step_seconds": 0.02, "inner": 2}
LONG_TRAINING = {"epochs": 300, "d_sae": 1024, "batch_rows": 1024}
ENDLESS = {"steps": 100_000, "step_seconds": 0.01, "inner": 2, "metrics": 3, "checkpoint_every": 40}


@dataclass(frozen=True)
class Site:
    """An installation with an API, and the jobs by their keys of a study that lacks its training."""

    installation: Installation
    address: str
    study: dict[str, str]

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
        # Its downloads, tokens and activations are made while the other tests are at the browser; the training waits.
        *before, _ = STUDY["jobs"]
        answer = httpx.post(f"{address}/api/v1/studies", json=STUDY | {"jobs": before}, headers=BEARER)
        assert answer.status_code == 201, answer.text
        yield Site(opened, address, {job["key"]: job["id"] for job in answer.json()["jobs"]})


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


def test_form_names_the_field_of_a_wrong_config_and_queues_nothing(site: Site) -> None:
    site.visit("submit_refused")


def test_one_browser_stays_signed_in_to_two_installations(site: Site, other_site: tuple[Installation, str]) -> None:
    other, other_address = other_site
    site.installation.submit(config=SMALL, name="job of the one")
    other.submit(config=SMALL, name="job of the other")
    site.visit("two_installations", OTHER_URL=other_address, OTHER_TOKEN="other-token")


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


def test_system_operations_and_results_show_what_there_is(site: Site) -> None:
    cleaned = site.installation.submit("dataset.dedupe", {"dataset": f"job:{site.study['text']}/dataset"})
    with site.endless("in the operations") as (job,):
        site.installation.wait_state(cleaned, "completed")
        site.visit("pages", JOB_ID=job, MADE_ID=cleaned)


def test_features_are_browsed_searched_and_labelled(site: Site) -> None:
    add_index(site.installation, "features1", {"layer3.resid_post": 330, "layer5.resid_post": 66})
    site.visit("features", INDEX="features1")


def test_buttons_pause_resume_and_cancel(site: Site) -> None:
    with site.endless("to be paused", "to be cancelled") as jobs:
        site.visit("controls", JOB_ID=jobs[0], OTHER_ID=jobs[1])
        assert [site.installation.job(job).state for job in jobs] == ["cancelled", "cancelled"]


def test_curve_goes_on_after_a_kill_and_the_resumed_part_is_marked(site: Site, tmp_path: Path) -> None:
    with site.endless("killed in mid-training") as (job,):
        group = str(site.installation.process_group(job))
        site.visit("killed_job", JOB_ID=job, PROCESS_GROUP=group, OUT_DIR=str(tmp_path))
    keep(tmp_path, job_page_resumed="job-resumed")


def test_job_page_lives_while_a_real_sae_trains(site: Site, tmp_path: Path) -> None:
    wanted = MID_TRAINING_PERCENT if os.environ.get(KEEP_SCREENSHOTS) else 1.0
    config = (
        STUDY["jobs"][-1]["config"] | {"activations": f"job:{site.study['activations']}/activations"} | LONG_TRAINING
    )
    sae = site.installation.submit("sae.train", config)
    site.installation.wait(sae, lambda job: job.phase == "training" and job.percent > wanted, timeout=300)
    site.visit("job_page", JOB_ID=sae, OUT_DIR=str(tmp_path))
    keep(tmp_path, job_page="job-light", job_page_dark="job-dark", job_page_phone="job-phone")
