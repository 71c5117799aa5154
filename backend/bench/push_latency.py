"""From `job.log` in a job's process to a Socket.IO client with the point: `python backend/bench/push_latency.py`.

Everything is real: embedded Postgres and Valkey, a worker process, an API process, a job process of a kind that comes
from outside by its entry point (each point's value is the time of its call), a python-socketio client. Aim: p50 <= 120
ms, p99 <= 250 ms with the default drain (100 ms) and batch (100 ms) intervals. Once alone; and once, without an aim,
while as many other jobs as there are cores keep them busy.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import socketio
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.services import embedded_installation
from tests.installation import Installation

AIM_P50_MS, AIM_P99_MS = 120.0, 250.0
CORES = os.cpu_count() or 1
BUSY = {"steps": 1_000_000, "step_seconds": 0.05, "inner": 1, "checkpoint_every": 0}
STEPS = 400
STEP_SECONDS = 0.05

_KIND = f'''
import time
from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, KindConfig

class Config(KindConfig):
    """Nothing to set."""

def run(config, job):
    with job.phase("working"):
        for step in job.track(range({STEPS}), unit="step"):
            time.sleep({STEP_SECONDS})
            job.log(step, called_at=time.time())

KIND = Kind(name="bench.clock", title="Clock", description="Logs the time.", queue="cpu", config=Config,
            phases=(PhaseSpec("working", "Working"),), run="bench_clock:run")
'''


@contextmanager
def clock_kind() -> Iterator[str]:
    """A folder for PYTHONPATH with the kind, found as an installed package's would be."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_clock.py").write_text(_KIND)
        metadata = Path(folder) / "bench_clock-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-clock\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text("[headway.kinds]\nclock = bench_clock:KIND\n")
        sys.path.insert(0, folder)
        yield folder


async def delays(installation: Installation, address: str) -> list[float]:
    """Milliseconds of every point from call to client."""
    received: list[float] = []
    complete = asyncio.Event()
    client = socketio.AsyncClient(reconnection=False)

    @client.on("job:metrics")
    def on_metrics(payload: dict[str, Any]) -> None:
        now = time.time()
        received.extend((now - at) * 1e3 for series in payload["points"] for at in series["values"])
        if len(received) >= STEPS:
            complete.set()

    await client.connect(address, auth={"token": "test-token"}, transports=["websocket"])
    job_id = installation.submit("bench.clock")
    answer = await client.call("subscribe", {"channel": f"jobs/{job_id}/metrics"}, timeout=5)
    assert answer["ok"], answer
    await asyncio.wait_for(complete.wait(), STEPS * STEP_SECONDS * 3)
    await client.disconnect()
    return received


def main() -> int:
    """Print the table; 1 when an aim is missed or a point did not arrive."""
    with clock_kind() as path, embedded_installation() as installation:
        installation.start_worker("cpu", PYTHONPATH=path, HEADWAY_SLOTS=f"cpu={CORES + 1}")
        address = installation.start_api(PYTHONPATH=path)
        alone = sorted(asyncio.run(delays(installation, address)))
        for _ in range(CORES):
            busy = installation.submit("probe.work", BUSY)
            installation.wait(busy, lambda job: job.phase == "working")
        crowded = sorted(asyncio.run(delays(installation, address)))
    table = Table("", "points", "p50 ms", "p99 ms", "max ms", "aim p50", "aim p99")
    table.add_row("alone", *_described(alone), f"{AIM_P50_MS:g}", f"{AIM_P99_MS:g}")
    table.add_row(f"beside {CORES} busy jobs", *_described(crowded), "", "")
    Console().print(table)
    met = statistics.median(alone) <= AIM_P50_MS and _p99(alone) <= AIM_P99_MS
    return 0 if len(alone) == len(crowded) == STEPS and met else 1


def _described(found: list[float]) -> list[str]:
    return [str(len(found)), f"{statistics.median(found):.1f}", f"{_p99(found):.1f}", f"{found[-1]:.1f}"]


def _p99(found: list[float]) -> float:
    return found[int(len(found) * 0.99)]


if __name__ == "__main__":
    sys.exit(main())
