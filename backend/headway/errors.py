"""The one error tree. Every message says what is wrong and what to do; one place (`api/errors.py`) maps it to HTTP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field, named by its dotted path (`config.k`, `jobs.2.kind`)."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class HeadwayError(Exception):
    """Base of all errors that Headway raises on purpose."""

    title = "Internal error"
    status = 500


class InvalidInputError(HeadwayError):
    """What was asked for does not fit; nothing was changed."""

    title = "Invalid input"
    status = 422

    def __init__(self, *problems: FieldProblem) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


class NotFoundError(HeadwayError):
    """The thing named does not exist."""

    title = "Not found"
    status = 404


class ConflictError(HeadwayError):
    """The thing exists, but its state does not allow what was asked."""

    title = "Conflict"
    status = 409


class UnauthorizedError(HeadwayError):
    """No valid token came with the request."""

    title = "Not signed in"
    status = 401


class ForbiddenError(HeadwayError):
    """The token is valid but its role is too small, or the origin is not ours."""

    title = "Not allowed"
    status = 403


class TooLargeError(HeadwayError):
    """More bytes than the installation takes, or than were announced."""

    title = "Too large"
    status = 413


class NoRoomError(HeadwayError):
    """The disk of the host has no room for it; nothing of it was kept."""

    title = "Disk full"
    status = 507


class UnavailableError(HeadwayError):
    """Postgres or Redis cannot be reached now; the same call may work later."""

    title = "Temporarily unavailable"
    status = 503


class SettingsError(HeadwayError):
    """Wrong environment variables, all of them reported together."""

    title = "Wrong settings"

    def __init__(self, *problems: FieldProblem) -> None:
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"these environment variables are wrong:\n{lines}")


class LocalServiceError(HeadwayError):
    """An embedded service could not be started or found."""

    title = "Local service failed"


class AlreadyRunningError(LocalServiceError):
    """Another Headway runs on the same data directory."""

    title = "Already running"


class SpoolError(HeadwayError):
    """A spool folder is not what its reader or writer can go on with."""

    title = "Spool unreadable"


class KindError(HeadwayError):
    """A kind's folder breaks the kind protocol."""

    title = "Broken kind"


class CheckpointError(HeadwayError):
    """A checkpoint does not verify against its manifest."""

    title = "Checkpoint invalid"


class PullError(HeadwayError):
    """Files could not be fetched from another host; the message says why. Trying again later goes on."""

    title = "Not fetched"


class FencedError(HeadwayError):
    """A later attempt owns the job: this one must end and write nothing more."""

    title = "Superseded by a later attempt"


class JobStopped(BaseException):
    """Raised inside a job's process to unwind a kind that was asked to stop; never caught by `except Exception`."""
