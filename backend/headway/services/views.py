"""Jobs, studies and what belongs to them as clients see them: one projection of the rows, the same for HTTP and push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer

from headway.domain.states import HELD, JobState
from headway.services.ports import Row

STALLED_AFTER_SECONDS = 60.0
SLOW_AFTER_SECONDS = 15.0


def iso(moment: datetime) -> str:
    """ISO 8601 UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(iso, return_type=str)]


class CounterView(BaseModel):
    """A nested count; `total` is null where it is not known."""

    unit: str
    current: float
    total: float | None


class PhaseView(BaseModel):
    """A phase of the plan; `weight` is its share of the percent."""

    name: str
    title: str
    weight: float
    state: str
    percent: float
    eta_seconds: float | None
    started_at: Moment | None
    finished_at: Moment | None
    error: str | None


class AdviceView(BaseModel):
    """What to change for the retry."""

    text: str
    config_patch: dict[str, Any]


class ErrorView(BaseModel):
    """Why a job failed."""

    model_config = {"populate_by_name": True}

    class_: Annotated[str, "FailureClass"]
    message: str
    advice: AdviceView | None
