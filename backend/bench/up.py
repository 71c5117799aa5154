"""How soon `headway up` stands, how soon it is gone, and how soon a job obeys: `python backend/bench/up.py`.

Wall time on this machine, as its user waits for it: the first start (Postgres is made), the next ones, Ctrl-C while
nothing runs; then from the request to cancel or pause a running job to that state in its answer.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from headway.local.installation import Running, read_info
from headway.local.programs import headway_command
from tests.installation import wait_until

ROUNDS, COMMANDS = 3, 8
AIMS = {"next start, s": 5.0, "Ctrl-C while idle, s": 5.0, "cancel, s": 2.0, "pause, s": 2.0}
JOB = {"kind": "probe.work", "config": {"steps": 100_000, "step_seconds": 0.02}}
WAIT_SECONDS = 120.0


@contextmanager
def up(data_dir: Path, found: dict[str, list[float]], start: str) -> Iterator[Running]:
    """A running `headway up`; how long it took to stand is added under `start`, and how long to end."""
    began = time.perf_counter()
    environment = os.environ | {"HEADWAY_DATA_DIR": str(data_dir), "HEADWAY_PORT": "0"}
    process = subprocess.Popen([*headway_command(), "up"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any(line.startswith("Ready") for line in process.stdout), "up did not start"
        found.setdefault(start, []).append(time.perf_counter() - began)
        running = read_info(data_dir)
        assert running is not None
        yield running
    finally:
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=WAIT_SECONDS)
        found.setdefault("Ctrl-C while idle, s", []).append(time.perf_counter() - began)


def obeys(http: httpx.Client, command: str, state: str) -> float:
    """Seconds from the request to the state, of a job in the midst of its steps."""
    job_id = http.post("/api/v1/jobs", json=JOB).raise_for_status().json()["id"]

    def job() -> dict[str, Any]:
        return http.get(f"/api/v1/jobs/{job_id}").json()

    wait_until(lambda: job()["step"], WAIT_SECONDS, "a step", 0.05)
    began = time.perf_counter()
    http.post(f"/api/v1/jobs/{job_id}/{command}").raise_for_status()
    wait_until(lambda: job()["state"] == state, WAIT_SECONDS, state, 0.02)
    seconds = time.perf_counter() - began
    if state != "cancelled":
        http.post(f"/api/v1/jobs/{job_id}/cancel").raise_for_status()
        wait_until(lambda: job()["state"] == "cancelled", WAIT_SECONDS, "its end", 0.05)
    return seconds


def main() -> int:
    """Print the table; 1 if an aim was missed."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="hwb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        data_dir = Path(folder) / "data"
        for number in range(ROUNDS + 1):
            with up(data_dir, found, "next start, s" if number else "first start, s") as running:
                headers = {"Authorization": f"Bearer {running.token}"}
                with httpx.Client(base_url=running.url, headers=headers, timeout=20, trust_env=False) as http:
                    for command, state in (("cancel", "cancelled"), ("pause", "paused")) if number == ROUNDS else ():
                        found[f"{command}, s"] = [obeys(http, command, state) for _ in range(COMMANDS)]
    table = Table("", "p50", "worst", "aim", title="Starting, stopping, obeying")
    for name, seconds in found.items():
        aim = AIMS.get(name)
        table.add_row(name, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{aim:g}" if aim else "")
    Console().print(table)
    return int(any(statistics.median(found[name]) > aim for name, aim in AIMS.items()))


if __name__ == "__main__":
    sys.exit(main())
