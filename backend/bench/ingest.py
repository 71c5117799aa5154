"""Spool to Postgres, decoding included, in metric points a second: `python backend/bench/ingest.py`.

One attempt's spool with five scalars a step is drained by the code that supervisors run, into an embedded Postgres of
its own. Aim: at least 300 000 points/s.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.services import embedded_installation
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.drain import Drain
from headway.spool.writer import SpoolWriter
from headway.workers.output import read_output
from tests.installation import Installation

AIM_POINTS_A_SECOND = 300_000
STEPS = 60_000
ROUNDS = 5
NAMES = ("loss", "fvu", "l0", "dead_fraction", "grad_norm")


def drained_points_a_second(installation: Installation) -> float:
    """Points a second of one job's drain, from the first record to the last commit."""
    job_id = installation.submit()
    row = claim_job(installation.engine, installation.runtime.signals, Claimant("b", "b", 600), "cpu", job_id)
    assert row is not None
    with tempfile.TemporaryDirectory() as folder:
        writer = SpoolWriter(Path(folder) / "spool")
        for step in range(STEPS):
            writer.log(step, loss=1.0 / (step + 1), fvu=0.5, l0=32.0, dead_fraction=0.01, grad_norm=0.1 * (step % 7))
            if step % 1000 == 0:
                writer.housekeep()
        writer.close()
        drain = Drain(
            installation.engine,
            installation.runtime.signals,
            new_feed(row, Claimant("b", "b", 600)),
            Path(folder),
            read_output,
        )
        began = time.perf_counter()
        drain.take_rest()
        return STEPS * len(NAMES) / (time.perf_counter() - began)


def main() -> int:
    """Print the table; 1 when the median misses the aim."""
    with embedded_installation() as installation:
        rates = [drained_points_a_second(installation) for _ in range(ROUNDS)]
        stored = installation.query("SELECT count(*) FROM training_metrics")[0][0]
    median = statistics.median(rates)
    table = Table("rounds", "points each", "stored", "points/s median", "min", "max", "aim")
    table.add_row(
        str(ROUNDS),
        f"{STEPS * len(NAMES):,}",
        f"{stored:,}",
        *(f"{rate:,.0f}" for rate in (median, min(rates), max(rates), AIM_POINTS_A_SECOND)),
    )
    Console().print(table)
    return 0 if median >= AIM_POINTS_A_SECOND and stored == ROUNDS * STEPS * len(NAMES) else 1


if __name__ == "__main__":
    sys.exit(main())
