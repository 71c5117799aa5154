"""docs/api/training-progress.md is true: its examples run, its tables name every field and event there is."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.api import views
from headway.domain.webhook import WEBHOOK_EVENTS, signature
from headway.services.read_run_progress import RunPoint, RunProgressQuery
from tests.installation import Installation, open_installation

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api" / "training-progress.md").read_text()


def example(first_words: str) -> str:
    """The code block that begins with this comment."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    return next(block for block in blocks if block.startswith(f"# {first_words}"))


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker("cpu")
        yield opened


def follow(installation: Installation, address: str, run_id: str, tmp_path: Path) -> tuple[int, list[str], str]:
    """The example's exit code and lines, and what it complained of."""
    file = tmp_path / "follow.py"
    file.write_text(example("follow.py"))
    done = subprocess.run(
        [sys.executable, str(file), run_id],
        env=os.environ | {"HEADWAY_URL": address, "HEADWAY_TOKEN": "test-token"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_example_client_follows_a_run_to_its_end(installation: Installation, tmp_path: Path) -> None:
    address = installation.start_api()
    run_id = installation.submit(config={"steps": 20, "step_seconds": 0.05})
    code, lines, _ = follow(installation, address, run_id, tmp_path)
    revisions = [int(line.split()[0]) for line in lines]
    assert (code, revisions) == (0, sorted(set(revisions)))
    assert lines[-1].split()[1:3] == ["completed", "100.00"]
    failing = installation.submit(config={"steps": 2, "fail_at": {"step": 1, "how": "exception"}})
    code, lines, _ = follow(installation, address, failing, tmp_path)
    assert (code, lines[-1].split()[1]) == (1, "failed")
    code, lines, said = follow(installation, address, "aaaaaaaaaaaa", tmp_path)
    assert (code, lines, "404: there is no job" in said) == (1, [], True)


def test_example_check_of_a_signature_agrees_with_ours(tmp_path: Path) -> None:
    file = tmp_path / "check.py"
    file.write_text(example("a receiver's check"))
    names = runpy.run_path(str(file))
    header = signature("a secret", int(time.time()), b'{"event":"job.failed"}')
    assert names["is_from_headway"]("a secret", header, b'{"event":"job.failed"}')
    assert not names["is_from_headway"]("another", header, b'{"event":"job.failed"}')
    assert not names["is_from_headway"]("a secret", signature("a secret", 1, b"{}"), b"{}")


def test_every_field_parameter_and_event_is_documented() -> None:
    models = (
        views.RunView, views.TrainingProgressView, views.UnifiedSessionView,
        views.SessionOverallView, views.SessionPhasesView, views.SessionPhaseView, views.SessionProgressView,
        RunProgressQuery,
    )  # fmt: skip
    wanted = [name for model in models for name in model.model_fields]
    wanted += [*RunPoint.__annotations__, *WEBHOOK_EVENTS]
    assert [name for name in wanted if not re.search(rf"\b{re.escape(name)}\b", DOCUMENT)] == []
