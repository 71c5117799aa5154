"""Chromium for tests: runs a script of frontend/tests/browser, which fails naming the claim that is not true."""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "frontend" / "tests" / "browser"
IMAGES = ROOT / "docs" / "images"
#: Set to keep the screenshots for the documents.
KEEP_SCREENSHOTS = "HEADWAY_KEEP_SCREENSHOTS"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium")


def run_script(name: str, *, timeout: float = 400, **named: str) -> None:
    """Run a script with `named` in its environment. Raises AssertionError with the claim that is not true."""
    visits = _visits()
    assert visits.stdin is not None
    assert visits.stdout is not None
    visits.stdin.write(json.dumps({"script": name, "environment": named}) + "\n")
    visits.stdin.flush()
    answer = visits.stdout.readline() if select.select([visits.stdout], [], [], timeout)[0] else ""
    if not answer:
        visits.kill()
        _visits.cache_clear()
        raise AssertionError(f"{name} did not end within {timeout:g} s, or its browser did: see what Node said")
    assert (error := json.loads(answer)["error"]) is None, error


@cache
def _visits() -> subprocess.Popen[str]:
    """One Node and one Chromium for all scripts of this process; they end with their input, so with us in any case."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command_of("visits"), env=environment_of(), stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    atexit.register(process.stdin.close)
    return process


def command_of(name: str) -> list[str]:
    """What runs a script."""
    return ["node", str(SCRIPTS / f"{name}.mjs")]


def environment_of(**named: str) -> dict[str, str]:
    """What a script finds in its environment."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CHROMIUM_PATH": str(CHROMIUM), **named}


def keep(shots: Path, **images: str) -> None:
    """Copy screenshots into the documents, if that is asked for: `image="screenshot"`, names without their ending."""
    if not os.environ.get(KEEP_SCREENSHOTS):
        return
    IMAGES.mkdir(exist_ok=True)
    for image, shot in images.items():
        shutil.copy(shots / f"{shot}.png", IMAGES / f"{image.replace('_', '-')}.png")
