"""What the callbacks of training libraries share: nested counters, rounds of evaluation, metrics, checkpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.jobs.context import JobContext

METRICS_A_RECORD = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_./@:-]")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a training is, None for what is not known ahead. The product of the three is all its examples.

    A training that ends within an epoch has a part of one in `epochs`; an uneven last batch makes `examples_per_step`
    a mean. So the products stay exact.
    """

    epochs: float | None
    steps_per_epoch: float | None
    examples_per_step: float | None

    @classmethod
    def of(
        cls,
        *,
        steps: float | None,
        steps_per_epoch: float | None,
        epochs: float | None,
        examples_per_step: float | None,
    ) -> Size:
        """From the steps of the whole training; where an epoch's length is not known, they make one epoch."""
        if steps_per_epoch:
            return cls(steps / steps_per_epoch if steps else None, steps_per_epoch, examples_per_step)
        if steps:
            return cls(1, steps, examples_per_step)
        return cls(epochs, None, examples_per_step)


class TrainingCounters:
    """Epochs, steps within the epoch and examples within the step, nested in whatever phase runs."""

    def __init__(self, job: JobContext, size: Size, epoch: int, step: int) -> None:
        self._opened = ExitStack()
        count = self._opened.enter_context
        self._epoch = count(job.count(unit="epoch", total=_whole(size.epochs), start=epoch))
        self._step = count(job.count(unit="step", total=_whole(size.steps_per_epoch), start=step))
        self._example = count(job.count(unit="example", total=_whole(known(size.examples_per_step))))

    def move(self, epoch: int, step: int, share: float = 0) -> None:
        """So many epochs are done, so many steps of the next, and this share (0 to 1) of the step after them."""
        self._example.current = _whole((self._example.total or 0) * share) or 0
        self._step.current, self._epoch.current = step, epoch

    def close(self) -> None:
        """Take the counters away; the part of an epoch that was done last stands in the outermost."""
        if self._step.total:
            self._epoch.current += self._step.current / self._step.total
        self._opened.close()


class EvaluationRounds:
    """The evaluations inside a training, as a phase that is entered once for each of `rounds`.

    Raises ValueError where the kind does not declare the phase.
    """

    def __init__(self, job: JobContext, phase: str, rounds: int | None, done: int = 0) -> None:
        self._job, self._phase, self._rounds, self._done = job, phase, rounds, done
        self._opened = ExitStack()
        if rounds:
            job.expect(phase, unit="round", total=rounds)

    def begin(self, batches: float | None, done: int = 0) -> None:
        """Enter the next round; `done` of its `batches` are behind it."""
        self._done += 1
        rounds = max(self._rounds, self._done) if self._rounds else None
        self._opened.enter_context(self._job.phase(self._phase, round=self._done, rounds=rounds))
        self._batch = self._opened.enter_context(self._job.count(unit="batch", total=batches, start=done))

    def advance(self) -> None:
        """One more batch is evaluated."""
        self._batch.advance()

    def end(self) -> None:
        """Leave the round."""
        self._opened.close()


def log_numbers(job: JobContext, step: int, values: Mapping[str, Any]) -> None:
    """Log what is a number among `values` (tensors of one element too), under names that metrics may have."""
    converted = {_FOREIGN.sub("_", name)[:120]: _number(value) for name, value in values.items() if name}
    numbers = [(name, number) for name, number in converted.items() if number is not None]
    for first in range(0, len(numbers), METRICS_A_RECORD):
        job.log(step, **dict(numbers[first : first + METRICS_A_RECORD]))


def keep_checkpoint(job: JobContext, step: int, save: Callable[[Path], None], *, best: bool = False) -> None:
    """Make what a library saves a checkpoint of the job, which is verified and outlives the library's own copy."""
    if job.checkpoint(step, save, best=best):
        job.say(f"Checkpoint saved at step {step}")


def _number(value: Any) -> float | None:
    if isinstance(value, str | bytes | bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last is a tensor's of several elements
        return None


def known(number: float | None) -> float | None:
    """None for what libraries write where a size is unbounded: infinity, -1."""
    return number if number is not None and math.isfinite(number) and number > 0 else None


def _whole(number: float | None) -> float | None:
    return int(number) if number is not None and float(number).is_integer() else number
