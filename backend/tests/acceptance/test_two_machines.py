"""A study over two machines that share nothing but Postgres and Redis; its training moves from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.services.control_job import pause_job, resume_job
from headway.services.submit_study import StudyRequest, submit_study
from tests.acceptance.studies import study_with_sae
from tests.installation import Installation, open_installation
from tests.machines import Machine, machine

STUDY_SECONDS = 500.0


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker("system", beat=True, HEADWAY_HOST_NAME="cedar")
        yield opened


@pytest.fixture
def alder(installation: Installation, tmp_path: Path) -> Iterator[Machine]:
    """Downloads and tokenizes."""
    with machine(installation, "alder", tmp_path / "alder") as made:
        yield made


@pytest.fixture
def birch(installation: Installation, tmp_path: Path) -> Iterator[Machine]:
    """Extracts and trains."""
    with machine(installation, "birch", tmp_path / "birch") as made:
        yield made


def test_study_runs_on_both_machines_and_its_training_moves_with_its_checkpoint(
    installation: Installation, alder: Machine, birch: Machine
) -> None:
    installation.start_worker("io,cpu", **alder.environment)
    trainer = installation.start_worker("gpu", **birch.environment)
    wanted = study_with_sae(epochs=60)
    wanted["jobs"][2]["config"]["max_tokens"] = 3_000
    request = StudyRequest.model_validate(wanted)
    study = submit_study(installation.engine, installation.runtime.signals, request)
    sae = next(job.id for job in study.jobs if job.key == "sae")
    installation.wait(sae, lambda job: (job.step or 0) > 20, STUDY_SECONDS)
    pause_job(installation.engine, installation.runtime.signals, sae)
    paused = installation.wait_state(sae, "paused")
    installation.kill_worker(trainer)
    installation.start_worker("gpu", **alder.environment)
    resume_job(installation.engine, installation.runtime.signals, sae)
    ended = installation.wait_state(sae, "completed", "failed", timeout=STUDY_SECONDS)
    assert ended.state == "completed", ended.error
    hosts = dict(installation.query("SELECT type, host FROM artifacts"))
    assert [hosts[made] for made in ("model", "tokens", "activations", "sae")] == ["alder", "alder", "birch", "alder"]
    attempts = installation.query("SELECT host, resumed_from_step FROM attempts WHERE job_id = %s ORDER BY number", sae)
    assert [host for host, _ in attempts] == ["birch", "alder"]
    assert attempts[1][1] == paused.step, "it goes on where it was paused"
    [(steps, last)] = installation.query(
        """SELECT count(DISTINCT m.step), max(m.step) FROM training_metrics m JOIN jobs j ON j.key = m.job
           JOIN job_metrics k ON k.job = m.job AND k.metric = m.metric WHERE j.id = %s
           GROUP BY m.metric ORDER BY count(*) DESC LIMIT 1""",
        sae,
    )
    assert steps == last, "each step once, none left out"
