"""Chromium for tests: runs a script of frontend/tests/browser, which fails naming the claim that is not true."""

from __future__ import annotations

import os
import shutil
import subprocess
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
    """Run a script with `named` in its environment. Raises AssertionError with what it said if it failed."""
    done = subprocess.run(
        command_of(name), env=environment_of(**named), capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr


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
