"""How fast the spool is decoded, without any store behind it: points (single values) a second.

Run: python backend/bench/spool_decode.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from headway.spool.reader import SpoolReader
from headway.spool.writer import SpoolWriter

RECORDS = 200_000
TARGET_POINTS_PER_SECOND = 1_500_000
STREAMS: dict[str, list[tuple[str, ...]]] = {
    "5 scalars a call": [("loss", "l0", "grad_norm", "lr", "dead")],
    "1 scalar a call": [("loss",)],
    "2 alternating sets of 5 and 2": [("loss", "l0", "grad_norm", "lr", "dead"), ("reward", "margin")],
}


def write(folder: Path, layouts: list[tuple[str, ...]]) -> None:
    writer = SpoolWriter(folder)
    rows = [dict.fromkeys(names, 0.5) for names in layouts]
    for step in range(RECORDS):
        writer.log(step, **rows[step % len(rows)])
    writer.close()


def decode(folder: Path) -> tuple[int, float]:
    """Points decoded, and the seconds it took."""
    reader, points = SpoolReader(folder), 0
    start = time.perf_counter()
    while (batch := reader.read()).records:
        points += sum(len(rows.values) for rows in batch.metrics)
    return points, time.perf_counter() - start


def main() -> int:
    slowest = float("inf")
    print(f"{'':<32}{'points/s':>14}")
    for name, layouts in STREAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), layouts)
            points, seconds = min((decode(Path(folder)) for _ in range(3)), key=lambda result: result[1])
        slowest = min(slowest, points / seconds)
        print(f"{name:<32}{points / seconds:>14,.0f}")
    met = slowest >= TARGET_POINTS_PER_SECOND
    print(f"target ({TARGET_POINTS_PER_SECOND:,} points/s in every stream): {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
