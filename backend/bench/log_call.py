"""What a call of `job.log` costs on the training thread, beside other trackers, and what kill -9 leaves of it.

Run: python backend/bench/log_call.py. The peers run with `.venv-bench/bin/python` (`make bench-peers` makes it).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from headway.spool.reader import SpoolReader

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parents[1] / ".venv-bench" / "bin" / "python"
KILLED_AFTER = 5000
TARGETS_US = {"burst": 1.5, "paced": 4.0}

ENDLESS_WRITER = """
import os, sys
from pathlib import Path
from headway.spool.writer import SpoolWriter
log = SpoolWriter(Path(sys.argv[1])).log
for step in range(int(sys.argv[2])):
    log(step, loss=1.0, l0=2.0, grad_norm=3.0, lr=4.0, dead=5.0)
os.write(1, b"all calls returned")
os.read(0, 1)
"""

Figures = dict[str, dict[str, float]]


def measure(driver: str, python: Path, *arguments: str) -> Figures | str:
    """The figures that a peer's driver prints, or why there are none."""
    if not python.exists():
        return "not installed: make bench-peers"
    with tempfile.TemporaryDirectory() as folder:
        command = [python, HERE / "peers" / f"{driver}_log.py", folder, *arguments]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if lines:
        return json.loads(lines[-1])
    if "ModuleNotFoundError" in run.stderr:
        return "not installed: make bench-peers"
    return f"failed: {(run.stderr.strip().splitlines() or ['no output'])[-1]}"


def row(name: str, figures: Figures | str) -> str:
    if isinstance(figures, str):
        return f"{name:<24}{figures:>24}"
    cells = [figures[way][share] for way in ("burst", "paced") for share in ("p50", "p99")]
    return f"{name:<24}" + "".join(f"{cell:>12.2f}" for cell in cells)


def records_after_kill() -> int:
    """How many records are read after SIGKILL of a process whose KILLED_AFTER calls returned."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ENDLESS_WRITER, folder, str(KILLED_AFTER)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(len(b"all calls returned"))
            process.send_signal(signal.SIGKILL)
        reader, records = SpoolReader(Path(folder)), 0
        while found := reader.read().records:
            records += found
        return records


def main() -> int:
    python = Path(sys.executable)
    ours = measure("headway", python, "spread")
    print("µs on the calling thread for one call with 5 scalars, the quietest of 3 rounds (lower is better)\n")
    print(f"{'':<24}{'burst p50':>12}{'burst p99':>12}{'paced p50':>12}{'paced p99':>12}")
    print(row("an empty call", measure("headway", python, "empty")))
    print(row("Headway log(i, **row)", ours))
    print(row("Headway log(i, loss=x)", measure("headway", python, "named")))
    print(row("trackio", measure("trackio", PEERS_PYTHON)))
    print(row("TensorBoard", measure("tensorboard", PEERS_PYTHON)))
    kept = records_after_kill()
    print(f"\nkill -9 after {KILLED_AFTER} calls: {kept} records read")
    met = not isinstance(ours, str) and all(ours[way]["p50"] <= target for way, target in TARGETS_US.items())
    print(f"targets (Headway p50: burst <= 1.5, paced <= 4.0; no record lost): {'met' if met else 'NOT met'}")
    return 0 if met and kept == KILLED_AFTER else 1


if __name__ == "__main__":
    sys.exit(main())
