"""How long `headway api` takes from the start of its process to its first answer, and what it then holds in memory.

Processor time stands beside it: on a busy machine only that means something.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from headway.local.programs import headway_command
from tests.services import running

TARGET_SECONDS = 1.0


def main(rounds: int = 7) -> None:
    """Print the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hw-", dir="/tmp")))
        prepare_data_dir(folder, service_account())
        cluster = postgres.prepare_cluster(folder, runtime_dir(folder))
        queue = valkey.prepare_queue(folder)
        stack.enter_context(running(cluster.command, signal.SIGINT, folder / "logs" / "postgres.log"))
        stack.enter_context(running(queue.command, signal.SIGTERM, folder / "logs" / "valkey.log"))
        postgres.wait_ready(cluster.url)
        valkey.wait_ready(queue.url)
        environment = {
            "HEADWAY_DATA_DIR": str(folder),
            "HEADWAY_DATABASE_URL": cluster.url,
            "HEADWAY_REDIS_URL": queue.url,
            "HEADWAY_LOG_LEVEL": "warning",
        }
        figures = [_start_once(environment) for _ in range(rounds)]
    starts, work, stops, sizes = (sorted(column) for column in zip(*figures, strict=True))
    print(f"process start to first /healthz 200, s   p50 {statistics.median(starts):.3f}  worst {starts[-1]:.3f}")
    print(f"  of it processor time, s                p50 {statistics.median(work):.3f}")
    print(f"SIGTERM to exit, s                       p50 {statistics.median(stops):.3f}  worst {stops[-1]:.3f}")
    print(f"resident memory after it, MB             p50 {statistics.median(sizes):.0f}")
    print(f"target: start <= {TARGET_SECONDS} s: {'met' if statistics.median(starts) <= TARGET_SECONDS else 'MISSED'}")


def _start_once(environment: dict[str, str]) -> tuple[float, float, float, float]:
    port = valkey.free_port()
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as installed
    began = time.perf_counter()
    process = subprocess.Popen(headway_command("api"), env={**inherited, **environment, "HEADWAY_PORT": str(port)})
    try:
        while not _healthy(port):
            if process.poll() is not None or time.perf_counter() - began > 30:
                raise SystemExit("the API did not start")
            time.sleep(0.005)  # asking without a pause would take a core from what is measured
        started = time.perf_counter() - began
        seen = psutil.Process(process.pid)
        work, size = sum(seen.cpu_times()[:2]), seen.memory_info().rss / 1e6
    finally:
        process.terminate()
        stopping = time.perf_counter()
        process.wait(timeout=30)
    return started, work, time.perf_counter() - stopping, size


def _healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
