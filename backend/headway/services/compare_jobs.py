"""Compare jobs: their progress and metric curves on one axis, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection, Engine

from headway.domain import compare
from headway.domain.compare import Align, Point, Run, Sample
from headway.domain.series import LAST_STEP, AttemptSpan, owned_until
from headway.domain.states import HELD, TERMINAL, JobState
from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.storage import attempts as attempt_store
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage import metrics as metric_store
from headway.storage.engine import transaction
from headway.storage.rows import Row
from headway.storage.series import Range, Series, read_series

MOST_JOBS = 8
MOST_METRICS = 12


class CompareQuery(BaseModel):
    """Which jobs, on which axis: seconds worked, steps, or phases (1.5: half of the second)."""

    ids: str = Field(description=f"2 to {MOST_JOBS} ids of jobs, comma separated.")
    align: Align = "time"
    names: str | None = Field(None, description="Metrics, comma separated; by default those that two of them have.")
    max_points: int = Field(500, ge=2, le=10_000)


class ComparedPhaseView(BaseModel):
    """How long a job worked in a phase; `rate` is the last attempt's mean over it, in `rate_unit`s a second."""

    name: str
    seconds: float
    rate: float | None
    rate_unit: str | None


class ComparedJobView(BaseModel):
    """A job with the seconds it worked."""

    id: str
    name: str
    kind: str
    state: JobState
    percent: float
    seconds: float
    phases: list[ComparedPhaseView]


class ProgressCurveView(BaseModel):
    """A job's percent and seconds worked along the axis."""

    job_id: str
    x: list[float]
    percent: list[float]
    seconds: list[float]


class MetricCurveView(BaseModel):
    """One job's values of a metric along the axis."""

    job_id: str
    x: list[float]
    values: list[float | None]


class ComparedMetricView(BaseModel):
    """A metric's curves."""

    name: str
    curves: list[MetricCurveView]


class ComparisonView(BaseModel):
    """How much less time the fastest job took than this one, in percent of this one's."""

    job_id: str
    percent_faster: float
    seconds_gained: float
    gained_in: str | None
    seconds_gained_in: float | None


class VerdictView(BaseModel):
    """The verdict in a sentence and in numbers, by the percent that all of them have reached."""

    text: str
    fastest: str | None
    at_percent: float | None
    comparisons: list[ComparisonView]


class CompareView(BaseModel):
    """Jobs side by side; `phases` names the places of the axis of phases, `config_differs` what they do not share."""

    align: Align
    jobs: list[ComparedJobView]
    phases: list[str]
    progress: list[ProgressCurveView]
    metrics: list[ComparedMetricView]
    config_differs: list[str]
    verdict: VerdictView


def compare_jobs(engine: Engine, query: CompareQuery) -> CompareView:
    """Jobs side by side. Raises NotFoundError, InvalidInputError."""
    ids = _ids(query.ids)
    with transaction(engine) as connection:
        rows = [_row(connection, job_id) for job_id in ids]
        runs = [_run(connection, row) for row in rows]
        known = [metric_store.names_of_job(connection, row["key"]) for row in rows]
        names = _names(query.names, known)
        curves = [_series(connection, row, ids, names, query) for row, ids in zip(rows, known, strict=True)]
    courses = [compare.course(run) for run in runs]
    phases = list(dict.fromkeys(name for run in runs for name in run.weights))
    placed = [compare.positions(r, c, query.align, phases) for r, c in zip(runs, courses, strict=True)]
    return CompareView(
        align=query.align,
        jobs=[_job_view(row, points) for row, points in zip(rows, courses, strict=True)],
        phases=phases,
        progress=[_progress_curve(job_id, points) for job_id, points in zip(ids, placed, strict=True)],
        metrics=_metric_views(names, ids, placed, curves, query.align),
        config_differs=_differing([row["config"] for row in rows]),
        verdict=_verdict_view(compare.verdict(runs)),
    )


def _ids(text: str) -> list[str]:
    ids = [part.strip() for part in text.split(",") if part.strip()]
    if len(set(ids)) != len(ids) or not 2 <= len(ids) <= MOST_JOBS:
        raise InvalidInputError(FieldProblem("ids", f"name 2 to {MOST_JOBS} different jobs, comma separated"))
    return ids


def _row(connection: Connection, job_id: str) -> Row:
    row = job_store.get_job(connection, job_id)
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return row


def _run(connection: Connection, row: Row) -> Run:
    history = journal.read_history(connection, row["id"])
    samples = [
        Sample(point["at"].timestamp(), point["attempt"], point["percent_bp"] / 100, point["phase"], point["step"])
        for point in history
    ]
    state = JobState(row["state"])
    # between attempts nothing is worked; history may lag behind the row in an attempt and at its end
    if samples and (state in HELD or state in TERMINAL) and row["revision"] > history[-1]["revision"]:
        last, at = samples[-1], row["updated_at"].timestamp()
        if last.attempt == row["attempt"] and at >= last.at:
            progress = row["progress"]
            now = Sample(at, row["attempt"], row["percent_bp"] / 100, progress.get("phase"), progress.get("step"))
            samples.append(now)
    weights = {phase["name"]: phase["weight"] for phase in row["progress"].get("phases", ())}
    return Run(row["id"], row["name"], row["kind"], state is JobState.COMPLETED, weights, samples)


def _names(wanted: str | None, known: Sequence[Mapping[str, int]]) -> list[str]:
    every = dict.fromkeys(name for names in known for name in names)
    if wanted is None:
        return [name for name in every if sum(name in names for names in known) > 1][:MOST_METRICS]
    asked = list(dict.fromkeys(part.strip() for part in wanted.split(",") if part.strip()))
    unknown = [name for name in asked if name not in every]
    if unknown or len(asked) > MOST_METRICS:
        what = f"none of the jobs has {unknown[0]!r}" if unknown else f"name at most {MOST_METRICS} metrics"
        raise InvalidInputError(FieldProblem("names", what))
    return asked


def _series(
    connection: Connection, row: Row, known: Mapping[str, int], names: Sequence[str], query: CompareQuery
) -> dict[str, Series]:
    wanted = {name: known[name] for name in names if name in known}
    attempts = attempt_store.attempts_of(connection, row["id"])
    owned = owned_until([AttemptSpan(each["number"], each["resumed_from_step"]) for each in attempts])
    if not wanted or not owned:
        return {}
    reach = Range(owned, -LAST_STEP, LAST_STEP, query.max_points)
    return {series.name: series for series in read_series(connection, row["key"], wanted, reach)}


def _metric_views(
    names: Sequence[str],
    ids: Sequence[str],
    placed: Sequence[Sequence[tuple[float, Point]]],
    curves: Sequence[Mapping[str, Series]],
    align: Align,
) -> list[ComparedMetricView]:
    return [
        ComparedMetricView(
            name=name,
            curves=[
                MetricCurveView(job_id=job_id, x=_places(found[name].steps, points, align), values=found[name].values)
                for job_id, points, found in zip(ids, placed, curves, strict=True)
                if name in found
            ],
        )
        for name in names
    ]


def _places(steps: Sequence[int], placed: Sequence[tuple[float, Point]], align: Align) -> list[float]:
    """Where the steps lie on the axis: between the points of the history whose steps are around them."""
    if align == "step":
        return [float(step) for step in steps]
    place_of = {id(point): x for x, point in placed}
    known = compare.effective([point for _, point in placed], lambda point: point.step)
    known_steps = [float(point.step or 0) for point in known]
    xs = [place_of[id(point)] for point in known]
    return [compare.interpolated(known_steps, xs, step) if xs else 0.0 for step in steps]


def _progress_curve(job_id: str, placed: Sequence[tuple[float, Point]]) -> ProgressCurveView:
    return ProgressCurveView(
        job_id=job_id,
        x=[round(x, 4) for x, _ in placed],
        percent=[point.percent for _, point in placed],
        seconds=[round(point.seconds, 3) for _, point in placed],
    )


def _job_view(row: Row, points: Sequence[Point]) -> ComparedJobView:
    spent = compare.phase_seconds(points)
    known = {phase["name"]: phase for phase in row["progress"].get("phases", ())}
    return ComparedJobView(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        state=JobState(row["state"]),
        percent=row["percent_bp"] / 100,
        seconds=round(points[-1].seconds, 3) if points else 0.0,
        phases=[_phase_view(name, seconds, known.get(name, {})) for name, seconds in spent.items()],
    )


def _phase_view(name: str, seconds: float, phase: Mapping[str, Any]) -> ComparedPhaseView:
    rate, unit = phase.get("rate"), phase.get("rate_unit")
    return ComparedPhaseView(name=name, seconds=round(seconds, 3), rate=rate, rate_unit=unit)


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for config in configs for name in config)
    return [name for name in names if any(config.get(name) != configs[0].get(name) for config in configs)]


def _verdict_view(found: compare.Verdict) -> VerdictView:
    return VerdictView(
        text=found.text,
        fastest=found.fastest,
        at_percent=found.at_percent,
        comparisons=[
            ComparisonView(
                job_id=each.run_id,
                percent_faster=round(each.percent_faster, 2),
                seconds_gained=round(each.seconds_gained, 3),
                gained_in=each.gained_in,
                seconds_gained_in=None if each.seconds_gained_in is None else round(each.seconds_gained_in, 3),
            )
            for each in found.comparisons
        ],
    )
