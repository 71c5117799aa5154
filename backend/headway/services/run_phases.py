"""The five phases a run may be in, and which phases of kinds they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from headway.domain.states import JobState

RunPhase = Literal["queued", "initializing", "training", "evaluating", "saving"]

#: What kinds call their phases -> what a run calls it. A phase that is none of the five is null there.
RUN_PHASES: Mapping[str, RunPhase] = {
    "initializing": "initializing",
    "loading": "initializing",
    "resolving": "initializing",
    "warming": "initializing",
    "data_collection": "initializing",
    "training": "training",
    "optimization": "training",
    "working": "training",
    "evaluating": "evaluating",
    "validation": "evaluating",
    "saving": "saving",
}


def run_phase(state: JobState, phase: str | None) -> RunPhase | None:
    """The phase of a run whose job is in this state and phase."""
    if state in (JobState.WAITING, JobState.QUEUED):
        return "queued"
    if phase is None and state is JobState.RUNNING:
        return "initializing"  # its process is being started
    return RUN_PHASES.get(phase or "")


def kind_phases(wanted: RunPhase) -> list[str]:
    """What kinds call a run's phase."""
    return [name for name, phase in RUN_PHASES.items() if phase == wanted]
