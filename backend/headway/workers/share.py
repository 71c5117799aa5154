"""Copies what other hosts may need into HEADWAY_SHARED_DIR: each checkpoint soon after it is whole, outputs at the end.

So a job goes on elsewhere even when its machine is gone. A copy is there whole or not at all.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from headway.services.locate_files import copy_whole
from headway.settings import Settings
from headway.storage.rows import Row

LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Sharer:
    """Shares what the attempt in `folder` leaves; without HEADWAY_SHARED_DIR it does nothing."""

    def __init__(self, settings: Settings, row: Row, folder: Path) -> None:
        self._shared = settings.headway_shared_dir
        self._job_id = row["id"]
        self._checkpoints = folder / "checkpoints"
        self._attempt = str(row["attempt"])
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="headway-share") if self._shared else None
        self._under_way: Future[None] | None = None
        self._looked_at = 0.0

    def offer(self) -> None:
        """Have a new checkpoint copied, if none is being copied; returns at once."""
        now = time.monotonic()
        if self._pool is None or now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if self._under_way is None or self._under_way.done():
            self._under_way = self._pool.submit(self._share_newest)

    def finish(self, outputs: list[Path], *, completed: bool) -> None:
        """Copy what is left; a completed job's outputs go there, and its checkpoints go. Waits for the copying."""
        if self._pool is None or self._shared is None:
            return
        self._pool.shutdown(wait=True)
        if completed:
            for output in outputs:
                self._copy(output, self._shared / "artifacts" / output.name)
            shutil.rmtree(self._shared / "jobs" / self._job_id, ignore_errors=True)
        else:
            self._share_newest()

    def _share_newest(self) -> None:
        if self._shared is None:
            return
        here = sorted(self._checkpoints.glob("step-*"))
        there = self._shared / "jobs" / self._job_id / self._attempt / "checkpoints"
        if here and not (there / here[-1].name).exists():
            self._copy(here[-1], there / here[-1].name)
        for gone in {copy.name for copy in there.glob("step-*")} - {each.name for each in here}:
            shutil.rmtree(there / gone, ignore_errors=True)

    def _copy(self, source: Path, target: Path) -> None:
        try:
            copy_whole(source, target)
        except (OSError, shutil.Error) as error:  # pruned meanwhile, or no room there: the next one may come through
            log.warning("not shared", job_id=self._job_id, what=str(source), reason=str(error))
