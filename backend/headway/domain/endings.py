"""How an attempt's end moves its job. Pure: the same ending in the same state always decides the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headway.domain.failures import Failure, FailureClass
from headway.domain.states import JobState


class Outcome(StrEnum):
    """What became of an attempt. LOST: its process ended without a result, or its worker is gone."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt's outcome, why, and whether it got further than the attempt before (a newer checkpoint)."""

    outcome: Outcome
    failure: Failure | None = None
    progressed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The state the job moves to, with the failure it then shows and its new count of fruitless losses."""

    target: JobState
    failure: Failure | None = None
    lost_attempts: int = 0


def decide(state: JobState, ending: Ending, lost_attempts: int, most_lost: int) -> Decision:
    """Where a held job goes when its attempt ended.

    Completed is the truth even when a cancel or pause came too late. A stop that was asked for wins over a failure on
    the way down. A lost attempt goes back to the queue, at most `most_lost` times in a row without progress; one that
    stopped although nobody asked (its worker shuts down) goes back uncounted.
    """
    if ending.outcome is Outcome.COMPLETED:
        return Decision(JobState.COMPLETED)
    if state is JobState.CANCELLING:
        return Decision(JobState.CANCELLED)
    if ending.outcome is Outcome.FAILED:
        return Decision(JobState.FAILED, ending.failure)
    if state is JobState.PAUSING:
        return Decision(JobState.PAUSED)
    if ending.outcome is not Outcome.LOST:
        return Decision(JobState.QUEUED, lost_attempts=lost_attempts)
    lost = 1 if ending.progressed else lost_attempts + 1
    if lost > most_lost:
        why = ending.failure or Failure(FailureClass.WORKER_LOST, "its worker was lost")
        return Decision(JobState.FAILED, Failure(why.failure_class, f"{why.message} ({lost} times without progress)"))
    return Decision(JobState.QUEUED, ending.failure, lost)
