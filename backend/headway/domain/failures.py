"""What went wrong, by class, and the advice for the retry that will work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FailureClass(StrEnum):
    """Classes of failure; each has its advice."""

    OOM = "OOM"
    VALIDATION = "VALIDATION"
    TIMEOUT = "TIMEOUT"
    NETWORK = "NETWORK"
    DISK_FULL = "DISK_FULL"
    DIVERGED = "DIVERGED"
    WORKER_LOST = "WORKER_LOST"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Failure:
    """A classified failure; `traceback` goes to the log, not to the person."""

    failure_class: FailureClass
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, in words, and as a patch of the config that `retry --advised` takes."""

    text: str
    config_patch: Mapping[str, Any] = field(default_factory=dict[str, Any])


#: Text found in an exception's type or message -> class; the first that matches wins.
_SIGNS: tuple[tuple[FailureClass, tuple[str, ...]], ...] = (
    (
        FailureClass.OOM,
        (
            "memoryerror",
            "outofmemoryerror",
            "out of memory",
            "can't allocate memory",
            "cannot allocate memory",
            "alloc_failed",
            "bad_alloc",
        ),
    ),
    (FailureClass.DISK_FULL, ("no space left on device", "disk quota exceeded", "errno 28")),
    (FailureClass.DIVERGED, ("diverged",)),
    (
        FailureClass.NETWORK,
        (
            "connecterror",
            "connectionerror",
            "connecttimeout",
            "readtimeout",
            "name or service not known",
            "temporary failure in name resolution",
            "connection reset",
            "connection refused",
            "remoteprotocolerror",
            "networkerror",
            "network is unreachable",
            "no route to host",
            "serverdisconnectederror",
            "servertimeouterror",
            "connectiontimeouterror",
            "clientpayloaderror",
            "incompleteread",
        ),
    ),
    (FailureClass.TIMEOUT, ("timeouterror",)),
)
SIGKILL = 9


def classify_error(declared: str | None, error_type: str, message: str) -> FailureClass:
    """The class of an exception: what its raiser declared, else by its type and words."""
    if declared in FailureClass.__members__:
        return FailureClass(declared)
    text = f"{error_type} {message}".lower()
    for failure_class, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return failure_class
    return FailureClass.UNKNOWN


def classify_exit(status: int, *, killed_by_kernel: bool = False) -> Failure:
    """A process that ended without a result: `status` as subprocess gives it (negative: the signal)."""
    if killed_by_kernel:
        return Failure(FailureClass.OOM, "the kernel ended the job's process because memory ran out")
    if status < 0:
        return Failure(FailureClass.WORKER_LOST, f"the job's process was ended by signal {-status} without a result")
    return Failure(FailureClass.WORKER_LOST, f"the job's process ended with status {status} without a result")


_WORDS: dict[FailureClass, str] = {
    FailureClass.OOM: "Memory ran out. Retry with a smaller batch.",
    FailureClass.VALIDATION: "The config does not fit its input. Change the field that the message names.",
    FailureClass.TIMEOUT: "It took longer than allowed. Raise time_limit_seconds or give it less to do.",
    FailureClass.NETWORK: "A server could not be reached. Retry: what was downloaded is kept.",
    FailureClass.DISK_FULL: "The disk is full. Make room, then retry: the last checkpoint is kept.",
    FailureClass.DIVERGED: "The loss is not finite. Retry with a lower learning rate.",
    FailureClass.WORKER_LOST: "Its process ended without a word several times. Read its last log lines.",
}


def advise(failure_class: FailureClass, config: Mapping[str, Any]) -> Advice | None:
    """Advice for the retry of a job with this config; None where nothing better than reading the error is known."""
    text = _WORDS.get(failure_class)
    return Advice(text, _patch(failure_class, config)) if text else None


def _patch(failure_class: FailureClass, config: Mapping[str, Any]) -> dict[str, Any]:
    if failure_class is FailureClass.DIVERGED:
        return {name: config[name] / 3 for name in ("lr", "learning_rate") if isinstance(config.get(name), float)}
    if failure_class is not FailureClass.OOM:
        return {}
    for name in ("batch_size", "batch_rows", "batch_tokens", "batch"):
        size = config.get(name)
        if isinstance(size, int) and size > 1:
            steps = config.get("gradient_accumulation_steps")
            # twice the accumulation keeps the effective batch
            return {name: size // 2} | ({"gradient_accumulation_steps": steps * 2} if isinstance(steps, int) else {})
    return {}
