"""What an open page of the dashboard takes of a core while a job runs: `python backend/bench/dashboard.py`.

Real services, a probe that logs three metrics 40 times a second (so ten pushes a second reach the page), and Chromium,
which draws in software here: a machine with a GPU spares the last column. No aim: these pages are looked at for hours,
beside the training itself, so the figures must not grow unseen.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.services import embedded_installation
from tests.acceptance.browser import CHROMIUM, command_of, environment_of
from tests.installation import Installation

PROBE = {"steps": 1_000_000, "step_seconds": 0.001, "rest_seconds": 0.02, "metrics": 3, "checkpoint_every": 40}
PAGES = {"job": "/jobs/{job}", "trainings": "/trainings", "operations": "/operations", "system": "/system"}
SECONDS = 15.0


def percent_by_part(address: str, path: str) -> Counter[str]:
    """Percent of a core by the part of Chromium, while the page is open."""
    environment = environment_of(BASE_URL=address, TOKEN="test-token", PATH_OF_PAGE=path)
    pipe = subprocess.PIPE
    with subprocess.Popen(command_of("stay"), env=environment, stdin=pipe, stdout=pipe, text=True) as node:
        assert node.stdout is not None
        assert node.stdin is not None
        assert node.stdout.readline() == "open\n", f"{path} was not opened"
        before, began = _processor_seconds(node.pid), time.monotonic()
        time.sleep(SECONDS)
        used, seconds = _processor_seconds(node.pid), time.monotonic() - began
        node.stdin.close()
    used.subtract(before)
    return Counter({part: 100 * spent / seconds for part, spent in used.items()})


def _processor_seconds(node: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for process in psutil.Process(node).children(recursive=True):
        kind = next((part[7:] for part in process.cmdline() if part.startswith("--type=")), "browser")
        found[kind] += sum(process.cpu_times()[:2])
    return found


def run(installation: Installation) -> Table:
    """Open each page in turn."""
    installation.start_worker("cpu")
    address = installation.start_api()
    job = installation.submit(config=PROBE)
    installation.wait(job, lambda view: (view.step or 0) > 100)
    table = Table("page", "in all %", "page and layout %", "drawing %", title="Percent of a core, one job running")
    for name, path in PAGES.items():
        used = percent_by_part(address, path.format(job=job))
        shown = (sum(used.values()), used["renderer"], used["gpu-process"])
        table.add_row(name, *(f"{percent:.0f}" for percent in shown))
    return table


def main() -> int:
    """Print the table."""
    if CHROMIUM is None:
        print("Chromium is missing: apt-get install chromium", file=sys.stderr)
        return 1
    with embedded_installation() as installation:
        Console().print(run(installation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
