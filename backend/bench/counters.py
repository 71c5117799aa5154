"""What a million calls to an inner counter cost the training thread: `python backend/bench/counters.py`.

A reporter with its sampling thread, as in a job's process, beside the same loop without a counter; the median of some
rounds. Aim: a million calls take at most 0.1 % of a job of ten minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from headway.jobs.reporter import Reporter
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter

CALLS, ROUNDS = 1_000_000, 7
JOB_SECONDS, AIM_PERCENT = 600.0, 0.1


def seconds(loop: Callable[[], None]) -> float:
    """Processor time of this thread for one loop: what other threads and processes take is theirs."""
    began = time.thread_time()
    loop()
    return time.thread_time() - began


def main() -> int:
    """Print the table; 1 when the aim is missed."""
    with tempfile.TemporaryDirectory() as folder:
        writer = SpoolWriter(Path(folder))
        writer.event(EventKind.PLAN, {"phases": [{"name": "work", "title": "", "weight": 1.0, "optional": False}]})
        reporter = Reporter(writer)
        reporter.start_phase("work")
        outer = reporter.push("epoch", 0, 1)

        def bare() -> None:
            for _ in range(CALLS):
                pass

        def tracked() -> None:
            for _ in reporter.track(range(CALLS), "step", 0, CALLS):
                pass

        def advanced() -> None:
            inner = reporter.push("step", 0, CALLS)
            for _ in range(CALLS):
                inner.advance()
            reporter.pop(inner)

        loops = {"an empty loop": bare, "job.track": tracked, "counter.advance": advanced}
        taken = {name: median(seconds(loop) for _ in range(ROUNDS)) for name, loop in loops.items()}
        reporter.pop(outer)
        reporter.close()
    least = taken.pop("an empty loop")
    print(f"{CALLS:,} calls, less the empty loop ({least * 1e3:.0f} ms), in a job of {JOB_SECONDS:.0f} s\n")
    percents = {name: (each - least) / JOB_SECONDS * 100 for name, each in taken.items()}
    for name, percent in percents.items():
        print(f"{name:<18}{percent * JOB_SECONDS * 10:>8.0f} ms {percent:>8.3f} %")
    met = max(percents.values()) <= AIM_PERCENT
    print(f"\naim (at most {AIM_PERCENT} %): {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
