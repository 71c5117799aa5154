"""When a run leaves checkpoints: as often as asked for, and never so often that they cost more than their share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headway.jobs.context import JobContext

CHECKPOINT_SECONDS = 15.0
#: Leaving checkpoints takes at most this share of the time.
MOST_SHARE = 0.01


class Keeper:
    """Heeds requests and leaves checkpoints by time.

    `every_seconds` pass between two checkpoints, more where leaving one takes more than 1 % of that; with 0 each step
    leaves one. With `every_steps` the steps decide instead: each multiple of it leaves one, whatever it costs.
    """

    def __init__(
        self, job: JobContext, every_seconds: float = CHECKPOINT_SECONDS, *, every_steps: int | None = None
    ) -> None:
        self._job, self._every, self._every_steps = job, every_seconds, every_steps
        self._last = time.monotonic()
        self._cost_seconds = 0.0

    def heed(
        self,
        step: int,
        save: Callable[[Path], None],
        *,
        metrics: Callable[[], Mapping[str, float]] | None = None,
        last: bool = False,
    ) -> None:
        """Call after every step: leaves a checkpoint when one is due or a pause is asked for, and ends when asked to.

        `metrics` are made for those that are left, and their time counts.
        After the `last` step of a training one is due in any case: what follows it may fail. Raises JobStopped.
        """
        reason = self._job.should_stop()
        if reason == "pause" or last or self._is_due(step):
            began = time.monotonic()
            self._job.checkpoint(step, save, metrics=metrics() if metrics else None)
            self._last = time.monotonic()
            self._cost_seconds = self._last - began
        if reason:
            self._job.stop()

    def _is_due(self, step: int) -> bool:
        if self._every_steps:
            return step % self._every_steps == 0
        if not self._every:
            return True
        return time.monotonic() - self._last >= max(self._every, self._cost_seconds / MOST_SHARE)
