"""Read a job's metric curves: the effective one over its attempts, and the ghosts by attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine

from headway.domain.series import BEGAN_ANEW, LAST_STEP, AttemptSpan, owned_until
from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.services.views import View
from headway.storage import attempts as attempt_store
from headway.storage import metrics as metric_store
from headway.storage.engine import reading
from headway.storage.rows import Row
from headway.storage.series import ALWAYS, Range, Series, read_series


class MetricsQuery(BaseModel):
    """What to read; `names` comma separated, all by default."""

    model_config = ConfigDict(extra="forbid")

    names: str | None = None
    from_step: int = Field(0, ge=-LAST_STEP, le=LAST_STEP)
    to_step: int = Field(LAST_STEP, ge=-LAST_STEP, le=LAST_STEP)
    max_points: int = Field(1000, ge=2, le=100_000)
    layers: bool = False
    include_archived: bool = True


class SeriesView(View):
    """A curve in order of step; `nonfinite` names by index what a null value was."""

    name: str
    steps: list[int]
    values: list[float | None]
    nonfinite: dict[int, str] = Field(default_factory=dict[int, str])


class LayerView(View):
    """What an attempt logged beyond the step from which the next one went on."""

    attempt: int
    resumed_from_step: int | None
    series: list[SeriesView]


class AttemptView(View):
    """An attempt whose process began, and the step it went on from (null: it began anew)."""

    number: int
    resumed_from_step: int | None


class MetricsView(View):
    """Curves of a job. `cursor` tells up to where each attempt's records are in (see channel `jobs/{id}/metrics`)."""

    job_id: str
    names: list[str]
    series: list[SeriesView]
    layers: list[LayerView] | None = None
    attempts: list[AttemptView]
    cursor: dict[int, int]


def read_metrics(engine: Engine, job_id: str, query: MetricsQuery) -> MetricsView:
    """Curves of a job. Raises NotFoundError, InvalidInputError for a metric that the job does not have."""
    with reading(engine) as connection:
        found = attempt_store.spans_of(connection, job_id)
        if found is None:
            raise NotFoundError(f"there is no job {job_id}")
        key, attempts = found
        known = metric_store.names_of_job(connection, key)
        wanted = wanted_metrics(query.names, known)
        owned = owned_until([AttemptSpan(row["number"], row["resumed_from_step"]) for row in attempts])
        received = received_within(attempts)
        reach = Range(
            owned, query.from_step, query.to_step, query.max_points, query.include_archived, received=received
        )
        series = read_series(connection, key, wanted, reach) if wanted and owned else []
        layers = _layers(connection, key, wanted, reach, attempts) if query.layers else None
    return MetricsView(
        job_id=job_id,
        names=list(known),
        series=[_view(each) for each in series],
        layers=layers,
        attempts=[
            AttemptView(number=row["number"], resumed_from_step=_resumed_from(row))
            for row in attempts
            if row["resumed_from_step"] is not None
        ],
        cursor={row["number"]: row["spool_offset"] for row in attempts},
    )


def received_within(attempts: Sequence[Row]) -> tuple[datetime, datetime]:
    """When the attempts' points came in, as far as their drains noted it."""
    since = min((row["started_at"] for row in attempts), default=ALWAYS[0])
    until = max((row["drained_at"] for row in attempts if row["drained_at"]), default=ALWAYS[1])
    return since, until


def wanted_metrics(names: str | None, known: dict[str, int], field: str = "names") -> dict[str, int]:
    """The ids of the metrics named (comma separated; None: all). Raises InvalidInputError at `field` for another."""
    if names is None:
        return known
    asked = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in asked if name not in known]
    if unknown:
        has = ", ".join(known) or "none yet"
        raise InvalidInputError(FieldProblem(field, f"the job has no metric {unknown[0]!r}; it has: {has}"))
    return {name: known[name] for name in asked}


def _layers(
    connection: Connection, job_key: int, wanted: dict[str, int], whole: Range, attempts: list[Row]
) -> list[LayerView]:
    layers: list[LayerView] = []
    for row in attempts:
        bound = whole.owned[row["number"]]
        if bound == LAST_STEP or not wanted:
            continue
        reach = replace(whole, owned={row["number"]: bound}, ghosts=True)
        series = [_view(each) for each in read_series(connection, job_key, wanted, reach) if each.steps]
        layers.append(LayerView(attempt=row["number"], resumed_from_step=_resumed_from(row), series=series))
    return layers


def _resumed_from(attempt: Row) -> int | None:
    step: int | None = attempt["resumed_from_step"]
    return None if step == BEGAN_ANEW else step


def _view(series: Series) -> SeriesView:
    # as it was stored: checking 20 000 points once more takes a tenth of the whole answer
    return SeriesView.model_construct(
        name=series.name, steps=series.steps, values=series.values, nonfinite=series.nonfinite
    )
