"""Headway: `log` of the spool's writer, housekept every 100 ms from another thread as in a job; `dict` as the last
argument spreads a dictionary instead of naming the metrics."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from measure import NAMES, Scalars, report

from headway.spool.writer import SpoolWriter

writer = SpoolWriter(Path(sys.argv[1]) / "spool")
log = writer.log
A, B, C, D, E = NAMES
done = threading.Event()


def keep_house() -> None:
    while not done.wait(0.1):
        writer.housekeep()


def log_keywords(step: int, row: Scalars) -> None:
    log(step, loss=row[0], l0=row[1], grad_norm=row[2], lr=row[3], dead=row[4])


def log_dict(step: int, row: Scalars) -> None:
    log(step, **{A: row[0], B: row[1], C: row[2], D: row[3], E: row[4]})


keeper = threading.Thread(target=keep_house)
keeper.start()
report(log_dict if sys.argv[2:] == ["dict"] else log_keywords)
done.set()
keeper.join(10)
writer.close()
