"""What a job is going to take, before it is submitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine

from headway.domain.typical import PhaseRun, typical_of
from headway.errors import InvalidInputError
from headway.jobs.forecast import Forecast, Metas
from headway.jobs.kind import Kind, KindConfig
from headway.services.submit_job import runnable_kind
from headway.services.typical_phases import RUNS_LEARNED_FROM, run_of
from headway.services.views import View
from headway.storage import artifacts as artifact_store
from headway.storage import kind_runs
from headway.storage.engine import transaction
from headway.storage.rows import Row

#: Of a normal distribution, 80 % lies within so many standard deviations.
WITHIN = 1.28
WORK = "work"


class ForecastRequest(BaseModel):
    """The config that is thought of."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] = Field(default_factory=dict)


class ProblemView(View):
    """A field that keeps the config from being run, and why."""

    field: str
    message: str


class ForecastView(View):
    """What a run would take; null where that cannot be known. Seconds are learned from `runs` finished ones of the kind
    on `host`, with bounds that hold for 80 %. With `problems` the config cannot be run yet, and nothing is known."""

    says: str = ""
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    runs: int = 0
    host: str | None = None
    problems: list[ProblemView] = Field(default_factory=list[ProblemView])


def forecast_job(engine: Engine, name: str, request: ForecastRequest) -> ForecastView:
    """What a job of the kind would take, or what its config still lacks: a form is asked for while it is filled in.

    Raises InvalidInputError for a kind that cannot run here.
    """
    kind = runnable_kind(name, "kind")
    try:
        config = kind.checked_config(request.config)
    except InvalidInputError as error:
        return ForecastView(problems=[ProblemView(field=each.field, message=each.message) for each in error.problems])
    with transaction(engine) as connection:
        forecast = kind.forecast_of(config, _metas(connection, kind, [request.config])[0])
        past = kind_runs.newest_runs_with_configs(connection, name, RUNS_LEARNED_FROM) if forecast.work else []
        metas = _metas(connection, kind, [row["config"] for row in past])
    view = ForecastView(says=forecast.says, disk_bytes=forecast.disk_bytes, memory_bytes=forecast.memory_bytes)
    runs = [run for row, meta in zip(past, metas, strict=True) if (run := _run(kind, row, meta))]
    return view.model_copy(update=_time(forecast.work, runs) | {"host": past[0]["host"]}) if runs else view


def _metas(connection: Connection, kind: Kind, configs: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
    """What is said of the artifacts that each config names, by field; without those that are not there."""
    named = [{each.name: str(config.get(each.name) or "") for each in kind.inputs} for config in configs]
    references = {reference for fields in named for reference in fields.values() if reference}
    found: dict[str, Row] = {
        f"artifact:{key}": row
        for key, row in artifact_store.get_artifacts(
            connection, [each.removeprefix("artifact:") for each in references if each.startswith("artifact:")]
        ).items()
    }
    jobs = [each.removeprefix("job:").partition("/")[0] for each in references if each.startswith("job:")]
    if jobs:
        of_jobs = artifact_store.artifacts_of_jobs(connection, jobs)
        found |= {f"job:{row['job_id']}/{row['output']}": row for row in of_jobs}
    said = {reference: dict(row["meta"] or {}) | {"bytes": row["bytes"]} for reference, row in found.items()}
    return [{field: said[name] for field, name in fields.items() if name in said} for fields in named]


def _run(kind: Kind, row: Row, metas: Metas) -> dict[str, PhaseRun] | None:
    """A finished run, its phases measured by their work; None where the kind cannot tell that any more."""
    try:
        config: KindConfig = kind.checked_config(row["config"])
    except InvalidInputError:  # of an earlier version
        return None
    forecast: Forecast = kind.forecast_of(config, metas)
    if not forecast.work:
        return None
    phases = {name: run_of(phase) for name, phase in row["phases"].items()}
    return {
        name: replace(run, shares=(), unit=WORK, done=forecast.work[name] * run.part)
        if name in forecast.work
        else replace(run, shares=(), unit=None, done=None)
        for name, run in phases.items()
    }


def _time(work: Mapping[str, float], runs: Sequence[Mapping[str, PhaseRun]]) -> dict[str, Any]:
    seconds, variance = 0.0, 0.0
    for name, typical in typical_of(runs).items():
        takes = typical.pace * work[name] if name in work and typical.pace else typical.seconds
        seconds += takes
        variance += (takes * typical.spread) ** 2
    spread = math.exp(WITHIN * math.sqrt(variance) / seconds) if seconds else 1.0
    return {
        "seconds": seconds,
        "seconds_low": seconds / spread,
        "seconds_high": seconds * spread,
        "runs": len(runs),
    }
