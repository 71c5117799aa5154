"""What ran where: captured when an attempt starts, kept with the job."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from headway import __version__

_TOLD_VERSIONS = ("torch", "transformers", "numpy", "safetensors", "huggingface_hub")


def capture_environment(host: str, threads: int, command: str, gpus: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Versions, command, git commit, host, CPU, threads, the job's GPUs."""
    return {**_of_this_host(), "host": host, "threads": threads, "command": command, "gpus": list(gpus)}


@cache
def _of_this_host() -> dict[str, Any]:
    return {
        "headway": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total >> 20,
        "git_commit": _git_commit(),
        "versions": {name: found for name in _TOLD_VERSIONS if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git_commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
