"""Job states and their legal moves."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. A paused job keeps a checkpoint; a waiting one waits for other jobs."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = JobState

LEGAL_MOVES: dict[JobState, frozenset[JobState]] = {
    _S.WAITING: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELLED}),
    # back to queued: its process or worker died, and it is started again
    _S.RUNNING: frozenset({_S.QUEUED, _S.PAUSING, _S.CANCELLING, _S.COMPLETED, _S.FAILED, _S.PAUSED, _S.CANCELLED}),
    # what was finished before it saw the flag stays finished: completed is the truth then
    _S.PAUSING: frozenset({_S.PAUSED, _S.CANCELLING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.COMPLETED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}

TERMINAL = frozenset(state for state, moves in LEGAL_MOVES.items() if not moves)
#: A worker holds the job: its lease must be renewed, and its attempt alone may write.
HELD = frozenset({_S.RUNNING, _S.PAUSING, _S.CANCELLING})


def may_move(source: JobState, target: JobState) -> bool:
    """Whether a job may go from one state to the other."""
    return target in LEGAL_MOVES[source]


def sources_of(target: JobState) -> frozenset[JobState]:
    """All states from which a job may come to `target`."""
    return frozenset(state for state, moves in LEGAL_MOVES.items() if target in moves)
