"""The job page in Chromium while a real SAE trains: it moves, draws, fits a phone, and complains of nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.studies import study_with_sae
from tests.installation import Installation, open_installation

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "frontend" / "tests" / "browser" / "job_page.mjs"
#: Set to keep the screenshots for the documents.
KEEP_SCREENSHOTS = "HEADWAY_KEEP_SCREENSHOTS"
MID_TRAINING_PERCENT = 40.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BEARER = {"Authorization": "Bearer test-token"}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url, HEADWAY_LEASE_SECONDS="15") as opened:
        opened.start_worker()
        opened.start_worker("system", beat=True)
        yield opened


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium")
@pytest.mark.timeout(240)
def test_job_page_lives_while_a_real_sae_trains(installation: Installation, tmp_path: Path) -> None:
    address = installation.start_api()
    with httpx.Client(base_url=f"{address}/api/v1", headers=BEARER, timeout=10) as http:
        study = study_with_sae(epochs=300, d_sae=1024, batch_rows=1024)
        answer = http.post("/studies", json=study)
        assert answer.status_code == 201, answer.text
        sae = answer.json()["jobs"][-1]["id"]
        wanted = MID_TRAINING_PERCENT if os.environ.get(KEEP_SCREENSHOTS) else 1.0
        installation.wait(sae, lambda job: job.phase == "training" and job.percent > wanted, timeout=150)
        environment = {
            **os.environ,
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "BASE_URL": address,
            "TOKEN": "test-token",
            "JOB_ID": sae,
            "OUT_DIR": str(tmp_path),
            "CHROMIUM_PATH": str(CHROMIUM),
        }
        done = subprocess.run(["node", SCRIPT], env=environment, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        assert http.post(f"/jobs/{sae}/cancel").status_code == 200
    installation.wait_state(sae, "cancelled", timeout=20)
    shots = sorted(path.name for path in tmp_path.glob("*.png"))
    assert shots == ["job-dark.png", "job-light.png", "job-phone.png"]
    if os.environ.get(KEEP_SCREENSHOTS):
        images = ROOT / "docs" / "images"
        images.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "job-light.png", images / "job-page.png")
        shutil.copy(tmp_path / "job-dark.png", images / "job-page-dark.png")
        shutil.copy(tmp_path / "job-phone.png", images / "job-page-phone.png")
