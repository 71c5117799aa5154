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
    """Where the job moves, the failure it then shows, its new counts, and the wait before it may be tried again."""

    target: JobState
    failure: Failure | None = None
    lost_attempts: int = 0
    transient_failures: int = 0
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often in a row a job is started again by itself without progress, by what ended it."""

    lost: int
    transient: int = 5
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 60.0

    def wait_before(self, failures: int) -> float:
        """Seconds before the next try after so many failures in a row: doubled each time."""
        return min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** (failures - 1))


@dataclass(frozen=True, slots=True)
class Tries:
    """What a job had so far: lost attempts and transient failures in a row, and whether it keeps checkpoints."""

    lost: int = 0
    transient: int = 0
    keeps_checkpoints: bool = False


def decide(state: JobState, ending: Ending, tries: Tries, patience: Patience) -> Decision:
    """Where a held job goes when its attempt ended.

    Completed is the truth even when a cancel or pause came too late. A stop that was asked for wins over a failure on
    the way down. A lost attempt goes back to the queue, as often as `patience` allows without progress; one that
    stopped although nobody asked (its worker shuts down) goes back uncounted. A network failure is tried again after a
    growing wait; a full disk pauses a job that keeps checkpoints, until there is room.
    """
    if ending.outcome is Outcome.COMPLETED:
        return Decision(JobState.COMPLETED)
    if state is JobState.CANCELLING:
        return Decision(JobState.CANCELLED)
    if ending.outcome is Outcome.FAILED:
        return _after_failure(state, ending, tries, patience)
    if state is JobState.PAUSING:
        return Decision(JobState.PAUSED)
    if ending.outcome is not Outcome.LOST:
        return Decision(JobState.QUEUED, lost_attempts=tries.lost)
    lost = 1 if ending.progressed else tries.lost + 1
    if lost > patience.lost:
        why = ending.failure or Failure(FailureClass.WORKER_LOST, "its worker was lost")
        return Decision(JobState.FAILED, Failure(why.failure_class, f"{why.message} ({lost} times without progress)"))
    return Decision(JobState.QUEUED, ending.failure, lost)


def _after_failure(state: JobState, ending: Ending, tries: Tries, patience: Patience) -> Decision:
    failure = ending.failure
    if state is JobState.RUNNING and failure is not None:
        if failure.failure_class is FailureClass.DISK_FULL and tries.keeps_checkpoints:
            return Decision(JobState.PAUSED, failure)
        failures = 1 if ending.progressed else tries.transient + 1
        if failure.failure_class is FailureClass.NETWORK and failures <= patience.transient:
            wait = patience.wait_before(failures)
            return Decision(JobState.QUEUED, failure, transient_failures=failures, wait_seconds=wait)
    return Decision(JobState.FAILED, failure)
