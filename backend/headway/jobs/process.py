"""Main of a job's process: `python -m headway.jobs.process <folder>`. A folder in, records out.

The exit status is 0 when a RESULT record was written, whatever the outcome; anything else is a crash.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from headway.errors import InvalidInputError, JobStopped
from headway.jobs.checkpoints import Checkpoint, newest_valid
from headway.jobs.context import JobContext
from headway.jobs.order import JobOrder
from headway.jobs.registry import get_kind
from headway.jobs.reporter import Reporter
from headway.leaving import leave
from headway.parent_death import end_with_parent
from headway.spool.control import Control
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter

OUTCOMES = {"pause": "paused", "cancel": "cancelled"}
OOM_SCORE = 500
NICENESS = 5


class SpoolLogHandler(logging.Handler):
    """Sends the process's log records into the spool, so that they stand beside the job's progress."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record; logging must never end a job."""
        try:
            self._reporter.say_log(record.levelname.lower(), self.format(record))
        except Exception:
            self.handleError(record)


def run_in_folder(folder: Path) -> dict[str, Any]:
    """Run the job ordered in `folder` to its end and answer the RESULT payload that was recorded."""
    order = JobOrder.read(folder)
    reporter = Reporter(SpoolWriter(folder / "spool", quota_bytes=order.spool_quota_bytes))
    handler = SpoolLogHandler(reporter)
    logging.getLogger().addHandler(handler)
    try:
        resume = newest_valid(Path(path) for path in order.resume_from)
        reporter.event(EventKind.PLAN, plan_of(order, resume))
        result = _outcome(folder, order, reporter, resume)
        reporter.event(EventKind.RESULT, result)
        return result
    finally:
        logging.getLogger().removeHandler(handler)
        reporter.close()


def plan_of(order: JobOrder, resume: Checkpoint | None) -> dict[str, Any]:
    """The phases and how far the checkpoint is in them, in one record: nobody sees an attempt fall back to 0."""
    phases = [{"name": p.name, "title": p.title, "weight": p.weight, "optional": p.optional} for p in order.phases]
    return {"phases": phases, "standing": list(resume.standing) if resume else []}


def _outcome(folder: Path, order: JobOrder, reporter: Reporter, resume: Checkpoint | None) -> dict[str, Any]:
    try:
        kind = get_kind(order.kind)
        config = kind.checked_config(order.config)
        job = JobContext(folder, order, reporter, Control.open(folder / "control"), resume)
        run = kind.load_run()
        if not gc.isenabled():  # `main` turned it off; what is loaded by now stays
            gc.freeze()
            gc.enable()
        run(config, job)
        return {"outcome": "completed", "error": None}
    except JobStopped as stop:
        return {"outcome": OUTCOMES.get(str(stop), "cancelled"), "error": None}
    except InvalidInputError as error:
        return {"outcome": "failed", "error": _described(error, "VALIDATION")}
    except Exception as error:
        described = _described(error, None)
        reporter.say_log("error", described["traceback"])
        return {"outcome": "failed", "error": described}


def _described(error: Exception, error_class: str | None) -> dict[str, Any]:
    return {
        "class": error_class,
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "message": str(error)[:4000] or type(error).__name__,
        "traceback": "".join(traceback.format_exception(error))[-16_000:],
    }


def main() -> NoReturn:
    """Entry of the process. Ctrl-C of a terminal is the supervisor's business, not the job's."""
    # until its kind is loaded nothing is garbage
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    _give_way()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, handlers=[])
    run_in_folder(Path(sys.argv[1]))
    leave()


def _give_way() -> None:
    """Without memory a job goes before Postgres does; without a free processor it waits for what tells of it."""
    os.nice(NICENESS)
    # between sessions, and a job has its own, Linux may weigh the groups instead (sched(7), "The autogroup feature")
    for file, value in (("oom_score_adj", OOM_SCORE), ("autogroup", NICENESS)):
        with contextlib.suppress(OSError):
            Path("/proc/self", file).write_text(str(value))


if __name__ == "__main__":
    main()
