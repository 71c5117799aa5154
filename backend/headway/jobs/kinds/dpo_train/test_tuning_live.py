"""Preference tuning through a real worker: made pairs, the documented view of a run, a kill it survives, a cancel."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.installation import Installation, open_installation, wait_until
from tests.tiny_models import some_text, tiny_llama

EPOCHS = 4
FIVE = ("queued", "initializing", "training", "evaluating", "saving")
TUNING = {
    "epochs": EPOCHS,
    "batch_size": 2,
    "gradient_accumulation_steps": 2,
    "learning_rate": 0.01,
    "lora_rank": 4,
    "eval_fraction": 0.5,
    "samples": 1,
    "sample_tokens": 4,
    "checkpoint_every_steps": 2,
}
FIELDS = {
    "run_id", "status", "current_phase", "progress_percentage", "current_epoch", "total_epochs", "current_step",
    "total_steps", "examples_processed", "total_examples", "eta_seconds", "last_metrics", "started_at",
    "estimated_completion",
}  # fmt: skip
PAIRS, STEPS_PER_EPOCH = 40, 5


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker()
        opened.start_worker("system", beat=True)
        yield opened


@pytest.fixture(scope="module")
def made(installation: Installation, http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A model and pairs of its own making, by the field of `dpo.train` that takes them."""
    folder = tmp_path_factory.mktemp("made")
    making = {"model": "job:model/model", "dataset": "job:text/dataset", "pairs": PAIRS, "prompt_tokens": 6}
    jobs = [
        ("model", "model.download", {"source": str(tiny_llama(folder / "model", head=True))}),
        ("text", "dataset.download", {"source": str(some_text(folder / "text", documents=60))}),
        ("pairs", "preferences.make", making | {"continuation_tokens": 6, "batch_size": 8}),
    ]
    study = {"name": "pairs", "jobs": [{"key": key, "kind": kind, "config": config} for key, kind, config in jobs]}
    last = http.post("/api/v1/studies", json=study).raise_for_status().json()["jobs"][-1]["id"]
    assert installation.wait_state(last, "completed", "failed", timeout=300).state == "completed"
    return {output: f"artifact:{id_}" for output, id_ in installation.query("SELECT output, id FROM artifacts")}


def submit(installation: Installation, made: dict[str, str], **tuning: Any) -> str:
    inputs = {name: made[name] for name in ("model", "preferences")}
    return installation.submit("dpo.train", TUNING | inputs | tuning)


def test_a_run_shows_its_phases_and_counts_and_survives_a_kill(
    installation: Installation, http: httpx.Client, made: dict[str, str]
) -> None:
    job_id = submit(installation, made)
    runs: list[dict[str, Any]] = []

    def look() -> dict[str, Any]:
        runs.append(http.get(f"/runs/{job_id}").raise_for_status().json())
        return runs[-1]

    wait_until(lambda: (look()["current_step"] or 0) >= 4 and look()["current_phase"] == "training", 300, "step 4")
    os.killpg(installation.process_group(job_id), signal.SIGKILL)
    wait_until(lambda: look()["status"] in ("completed", "failed"), 300, "the end")
    job = installation.job(job_id)
    assert (job.state, job.attempt) == ("completed", 2), job.error
    assert all(run.keys() == FIELDS for run in runs)
    seen = [run["current_phase"] for run in runs]
    assert seen[0] in FIVE[:2]
    assert set(seen) <= set(FIVE)
    assert {"initializing", "training", "evaluating"} <= set(seen)
    training = [run for run in runs if run["current_phase"] in ("training", "evaluating") and run["total_steps"]]
    assert {(run["total_epochs"], run["total_steps"], run["total_examples"]) for run in training} == {
        (EPOCHS, EPOCHS * STEPS_PER_EPOCH, EPOCHS * PAIRS // 2)
    }
    assert all(run["examples_processed"] <= run["total_examples"] for run in training)
    assert {"loss", "accuracy", "rewards/chosen", "rewards/rejected", "rewards/margins"} <= set(
        runs[-1]["last_metrics"]
    )
    assert runs[-1]["progress_percentage"] == 100
    policy = next(row for row in installation.query("SELECT meta FROM artifacts WHERE job_id = %s", job_id))
    assert {"before", "after"} <= set(policy[0]["samples"][0])


def test_cancel_ends_the_process_of_a_training(
    installation: Installation, http: httpx.Client, made: dict[str, str]
) -> None:
    job_id = submit(installation, made, epochs=1000)
    installation.wait(job_id, lambda job: job.phase == "training" and job.metrics.get("loss"), timeout=300)
    group = installation.process_group(job_id)
    http.post(f"/api/v1/jobs/{job_id}/cancel", json={}).raise_for_status()
    assert installation.wait_state(job_id, "cancelled", "failed", timeout=60).state == "cancelled"
    wait_until(lambda: not _lives(group), timeout=30, what="the end of its process")


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
