"""Headway: `log` of the spool's writer, housekept every 100 ms from another thread as in a job. The last argument names
the form of the call: `named` metrics, a dictionary `spread` into it, or `empty`, what calling and timing cost alone."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from measure import Scalars, report

from headway.spool.writer import SpoolWriter

writer = SpoolWriter(Path(sys.argv[1]) / "spool")
log = writer.log
done = threading.Event()


def keep_house() -> None:
    while not done.wait(0.1):
        writer.housekeep()


def named(step: int, row: Scalars) -> None:
    log(step, loss=row["loss"], l0=row["l0"], grad_norm=row["grad_norm"], lr=row["lr"], dead=row["dead"])


def spread(step: int, row: Scalars) -> None:
    log(step, **row)


def empty(step: int, row: Scalars) -> None:
    pass


FORMS = {"named": named, "spread": spread, "empty": empty}
keeper = threading.Thread(target=keep_house)
keeper.start()
report(FORMS[sys.argv[2]])
done.set()
keeper.join(10)
writer.close()
