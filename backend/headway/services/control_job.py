"""Cancel, pause, resume: commands change the job's row; its supervisor sees the state at its next drain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from headway.domain.states import JobState
from headway.errors import ConflictError, NotFoundError
from headway.jobs.registry import all_kinds
from headway.services.ports import Signals
from headway.services.submit_job import wake_and_announce
from headway.services.views import JobView, job_view
from headway.storage import artifacts as artifact_store
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage.engine import transaction
from headway.storage.rows import Row

_S = JobState


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command takes a job from each state; `done` are the states in which there is nothing left to do."""

    name: str
    moves: Mapping[JobState, JobState]
    done: frozenset[JobState]


CANCEL = _Command(
    "cancel",
    {
        _S.WAITING: _S.CANCELLED,
        _S.QUEUED: _S.CANCELLED,
        _S.PAUSED: _S.CANCELLED,
        _S.RUNNING: _S.CANCELLING,
        _S.PAUSING: _S.CANCELLING,
    },
    frozenset({_S.CANCELLING, _S.CANCELLED}),
)
PAUSE = _Command("pause", {_S.QUEUED: _S.PAUSED, _S.RUNNING: _S.PAUSING}, frozenset({_S.PAUSING, _S.PAUSED}))
RESUME = _Command("resume", {_S.PAUSED: _S.QUEUED}, frozenset({_S.QUEUED, _S.RUNNING}))


def cancel_job(engine: Engine, signals: Signals, job_id: str) -> JobView:
    """Cancel a job in any state but a terminal one. Raises NotFoundError, ConflictError."""
    return _carry_out(engine, signals, job_id, CANCEL)


def pause_job(engine: Engine, signals: Signals, job_id: str) -> JobView:
    """Pause a queued or running job whose kind keeps checkpoints. Raises NotFoundError, ConflictError."""
    return _carry_out(engine, signals, job_id, PAUSE)


def resume_job(engine: Engine, signals: Signals, job_id: str) -> JobView:
    """Queue a paused job again. Raises NotFoundError, ConflictError."""
    return _carry_out(engine, signals, job_id, RESUME)


def _carry_out(engine: Engine, signals: Signals, job_id: str, command: _Command) -> JobView:
    moved: Row | None = None
    with transaction(engine) as connection:
        row = job_store.get_job(connection, job_id)
        if row is None:
            raise NotFoundError(f"there is no job {job_id}")
        # the state may change between the read and the move: then look again
        while moved is None and JobState(row["state"]) not in command.done:
            target = command.moves.get(JobState(row["state"]))
            if target is None or (command is PAUSE and target is _S.PAUSING and not _keeps_checkpoints(row)):
                raise ConflictError(_refusal(command, row))
            moved = job_store.move(connection, job_id, target, sources=[JobState(row["state"])])
            row = moved or job_store.get_job(connection, job_id) or row
        if moved is not None:
            journal.add_event(connection, job_id, f"job.{row['state']}")
            if row["state"] == _S.CANCELLED:
                artifact_store.settle(connection, job_id, completed=False)
            row = job_store.get_job(connection, job_id) or row
    if moved is not None:
        wake_and_announce(signals, [row])
    return job_view(row)


def _keeps_checkpoints(row: Row) -> bool:
    kind = all_kinds().get(row["kind"])
    return kind is not None and kind.checkpoints


def _refusal(command: _Command, row: Row) -> str:
    if command is PAUSE and row["state"] == _S.RUNNING:
        return f"{row['kind']} keeps no checkpoint to go on from, so it cannot be paused; cancel it instead"
    allowed = ", ".join(command.moves)
    return f"job {row['id']} is {row['state']}: {command.name} works on a job that is {allowed}"
