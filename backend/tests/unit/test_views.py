"""The documented views: exact keys and types, one truth in all of them, null where a kind has nothing."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import is_typeddict

from headway.api import views
from headway.domain.states import HELD, JobState
from headway.services.read_run_progress import MetricAggregate, RunPoint, RunProgress
from headway.services.views import CounterView, ErrorView, JobView, PhaseView

STARTED = datetime(2026, 11, 1, 12, 0, 0, 123_456, tzinfo=UTC)
NUMBER, COUNT, TEXT, YES = "number", "integer", "string", "boolean"


def maybe(kind: str) -> str:
    return f"{kind}|null"


RUN = {
    "run_id": TEXT, "status": TEXT, "current_phase": maybe(TEXT), "progress_percentage": NUMBER,
    "current_epoch": maybe(COUNT), "total_epochs": maybe(COUNT), "current_step": maybe(COUNT),
    "total_steps": maybe(COUNT), "examples_processed": maybe(COUNT), "total_examples": maybe(COUNT),
    "eta_seconds": maybe(NUMBER), "last_metrics": "object", "started_at": maybe(NUMBER),
    "estimated_completion": maybe(NUMBER),
}  # fmt: skip
POINT = {
    "timestamp": NUMBER, "phase": maybe(TEXT), "step": maybe(COUNT), "epoch": maybe(COUNT),
    "progress_percentage": NUMBER, "metrics": "object", "message": maybe(TEXT), "eta_seconds": maybe(NUMBER),
}  # fmt: skip
TRAINING = {
    "job_id": TEXT, "percentage": NUMBER, "current_step": maybe(TEXT), "step_number": maybe(COUNT),
    "total_steps": COUNT, "step_percentage": maybe(NUMBER), "step_details": maybe(TEXT), "started_at": maybe(TEXT),
    "updated_at": TEXT, "estimated_completion": maybe(TEXT), "current_iteration": maybe(COUNT),
    "total_iterations": maybe(COUNT), "current_candle": maybe(COUNT), "total_candles": maybe(COUNT),
    "best_score": maybe(NUMBER), "current_score": maybe(NUMBER), "best_params": maybe("object"), "is_complete": YES,
    "error_message": maybe(TEXT),
}  # fmt: skip
PROGRESS = {"current": maybe(COUNT), "total": maybe(COUNT), "percentage": NUMBER}
PHASE = {
    "name": TEXT, "status": TEXT, "progress": PROGRESS, "etaSeconds": maybe(NUMBER), "startedAt": maybe(TEXT),
    "completedAt": maybe(TEXT), "error": maybe(TEXT),
}  # fmt: skip
UNIFIED = {
    "sessionId": TEXT,
    "overallStatus": TEXT,
    "overallProgress": {"percentage": NUMBER, "etaSeconds": maybe(NUMBER), "currentPhase": maybe(TEXT)},
    "phases": {"training": (PHASE, None), "faceDetection": (PHASE, None), "clustering": (PHASE, None)},
}
SESSION = {"sessionId": TEXT, "status": TEXT, "progress": PROGRESS, "etaSeconds": maybe(NUMBER)}
CONTRACTS: list[tuple[type[Any], dict[str, Any]]] = [
    (views.RunView, RUN),
    (views.RunUpdateView, RUN | {"revision": COUNT}),
    (RunPoint, POINT),
    (views.TrainingProgressView, TRAINING),
    (views.UnifiedSessionView, UNIFIED),
    (views.SessionProgressView, SESSION),
]


def contract_of(annotation: Any) -> Any:
    """The JSON a type stands for, in the words of the contracts above."""
    hint = getattr(annotation, "__value__", annotation)
    if get_origin(hint) in (Union, types.UnionType):
        inner = [each for each in get_args(hint) if each is not type(None)]
        made = contract_of(inner[0])
        return maybe(made) if isinstance(made, str) else (made, None)
    if get_origin(hint) is Literal:
        return TEXT
    if get_origin(hint) in (dict, Mapping):
        return "object"
    if is_typeddict(hint):
        return {name: contract_of(each) for name, each in get_type_hints(hint).items()}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return {name: contract_of(each) for name, each in get_type_hints(hint).items() if name in hint.model_fields}
    names = {bool: YES, int: COUNT, float: NUMBER, str: TEXT, datetime: TEXT, JobState: TEXT}
    return names[hint]


@pytest.mark.parametrize(("model", "contract"), CONTRACTS, ids=[model.__name__ for model, _ in CONTRACTS])
def test_view_has_exactly_the_fields_and_types_of_its_contract(model: type[Any], contract: Any) -> None:
    assert contract_of(model) == contract


def phase(name: str, state: str = "pending", percent: float = 0.0, **more: Any) -> PhaseView:
    values: dict[str, Any] = dict.fromkeys(PhaseView.model_fields)
    values |= {"name": name, "title": name.title(), "weight": 0.5, "state": state, "percent": percent, "counters": []}
    return PhaseView(**(values | more))


def job(**values: Any) -> JobView:
    made: dict[str, Any] = dict.fromkeys(JobView.model_fields)
    made |= {
        "id": "abcdefghijkm", "kind": "probe.work", "name": "a job", "tags": [], "notes": "", "owner": "",
        "state": JobState.RUNNING, "queue": "cpu", "priority": 0, "attempt": 1, "percent": 40.5, "phase": "training",
        "phases": [phase("initializing", "completed", 100.0), phase("training", "running", 38.0, eta_seconds=55.5)],
        "counters": [], "data_age_seconds": 0.1, "revision": 17, "events_count": 3, "metrics": {}, "config": {},
        "resources": {}, "depends_on": [], "waiting_for": [], "created_at": STARTED, "started_at": STARTED,
        "updated_at": STARTED,
    }  # fmt: skip
    return JobView(**(made | values))


COUNTERS = [
    CounterView(unit="epoch", current=1, total=3),
    CounterView(unit="step", current=456, total=1000),
    CounterView(unit="example", current=64, total=64),
]


def test_run_shows_counters_times_and_metrics_of_the_snapshot() -> None:
    run = views.run_update(job(counters=COUNTERS, eta_seconds=60.0, metrics={"loss": 0.5})).model_dump(mode="json")
    assert run == {
        "run_id": "abcdefghijkm", "status": "running", "current_phase": "training", "progress_percentage": 40.5,
        "current_epoch": 1, "total_epochs": 3, "current_step": 1456, "total_steps": 3000, "examples_processed": 93248,
        "total_examples": 192000, "eta_seconds": 60.0, "last_metrics": {"loss": 0.5},
        "started_at": round(STARTED.timestamp(), 3), "estimated_completion": round(STARTED.timestamp() + 60, 3),
        "revision": 17,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("counters", "step", "examples"),
    [
        ([("step", 7, 10)], (7, 10), (None, None)),
        ([("epoch", 1, None), ("step", 456, 1000)], (1456, None), (None, None)),
        ([("epoch", 1.5, 2.5), ("step", 0, 100)], (150, 250), (None, None)),
        ([("epoch", 0, 3), ("step", 5, None)], (5, None), (None, None)),
        ([("epoch", 1, 3), ("step", 5, None)], (None, None), (None, None)),
        ([("epoch", 1, 2), ("step", 1, 10), ("example", 2, 4)], (11, 20), (46, 80)),
        ([("epoch", 1, 2), ("example", 30, 40)], (None, None), (70, 80)),
        ([], (None, None), (None, None)),
    ],
)
def test_steps_and_examples_are_those_of_the_whole_run(
    counters: list[tuple[str, float, float | None]], step: tuple[object, object], examples: tuple[object, object]
) -> None:
    told = [CounterView(unit=unit, current=current, total=total) for unit, current, total in counters]
    run = views.run_view(job(counters=told))
    assert (run.current_step, run.total_steps) == step
    assert (run.examples_processed, run.total_examples) == examples


def test_training_counters_stay_while_the_run_evaluates_and_saves() -> None:
    phases = [phase("training", "completed", 100.0, counters=COUNTERS, started_at=STARTED), phase("saving", "running")]
    run = views.run_view(job(phase="saving", phases=phases, counters=[CounterView(unit="file", current=1, total=2)]))
    assert (run.current_epoch, run.current_step, run.total_steps) == (1, 1456, 3000)


def test_what_a_kind_has_nothing_for_is_null() -> None:
    bare = job(phase="tokenizing", phases=[phase("tokenizing", "running")], started_at=None)
    run, training = views.run_view(bare).model_dump(), views.training_progress_view(bare).model_dump()
    absent = set(RUN) - {"run_id", "status", "progress_percentage", "last_metrics"}
    assert {name for name in RUN if run[name] is None} == absent
    assert [training[name] for name in ("current_candle", "best_params", "best_score", "error_message")] == [None] * 4
    assert set(views.unified_session_view(bare).phases.model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("state", "name", "shown"),
    [
        (JobState.WAITING, "training", "queued"),
        (JobState.QUEUED, None, "queued"),
        (JobState.RUNNING, "loading", "initializing"),
        (JobState.RUNNING, "training", "training"),
        (JobState.PAUSED, "evaluating", "evaluating"),
        (JobState.COMPLETED, "saving", "saving"),
        (JobState.RUNNING, "clustering", None),
        (JobState.RUNNING, None, "initializing"),
    ],
)
def test_phase_of_a_run_is_one_of_the_five_or_null(state: JobState, name: str | None, shown: str | None) -> None:
    assert views.run_view(job(state=state, phase=name)).current_phase == shown


def test_step_of_a_training_is_a_phase_of_its_plan() -> None:
    counters = [
        CounterView(unit="episode", current=10, total=20),
        CounterView(unit="candle", current=7300, total=10000),
    ]
    metrics = {"best_score": 1.5, "score": 1.2, "best_params/fast": 12.0, "best_params/slow": 40.0}
    skipped = phase("validating", "skipped")
    view = views.training_progress_view(
        job(counters=counters, metrics=metrics, message="grid 10 of 20", phases=[*job().phases, skipped])
    )
    assert (view.current_step, view.step_number, view.total_steps, view.step_percentage) == ("Training", 2, 2, 38.0)
    assert (view.current_iteration, view.total_iterations) == (10, 20)
    assert (view.current_candle, view.total_candles) == (7300, 10000)
    assert (view.best_score, view.current_score, view.best_params) == (1.5, 1.2, {"fast": 12.0, "slow": 40.0})
    assert (view.step_details, view.is_complete, view.error_message) == ("grid 10 of 20", False, None)


@pytest.mark.parametrize(
    ("state", "complete", "said"),
    [
        (JobState.COMPLETED, True, None),
        (JobState.FAILED, False, "boom"),
        (JobState.CANCELLED, False, "the job was cancelled"),
        (JobState.QUEUED, False, None),
    ],
)
def test_training_ends_complete_or_with_an_error(state: JobState, complete: bool, said: str | None) -> None:
    error = ErrorView(failure_class="NETWORK", message="boom", advice=None)
    view = views.training_progress_view(job(state=state, error=error))
    assert (view.is_complete, view.error_message) == (complete, said)


def test_session_has_its_three_phases_each_with_its_own_counts() -> None:
    over = {"started_at": STARTED, "finished_at": STARTED + timedelta(seconds=5)}
    phases = [
        phase("embedding", "completed", 100.0, counters=[CounterView(unit="image", current=20, total=20)], **over),
        phase(
            "face_detection",
            "running",
            25.0,
            counters=[CounterView(unit="image", current=5, total=20)],
            eta_seconds=30.0,
            started_at=STARTED,
        ),
        phase("clustering"),
    ]
    faces = job(phase="face_detection", phases=phases)
    view = views.unified_session_view(faces).model_dump(mode="json")
    assert view["overallProgress"] == {"percentage": 40.5, "etaSeconds": None, "currentPhase": "faceDetection"}
    assert view["phases"]["faceDetection"] == {
        "name": "face_detection", "status": "running", "progress": {"current": 5, "total": 20, "percentage": 25.0},
        "etaSeconds": 30.0, "startedAt": "2026-11-01T12:00:00.123Z", "completedAt": None, "error": None,
    }  # fmt: skip
    assert view["phases"]["training"]["completedAt"] == "2026-11-01T12:00:05.123Z"
    assert view["phases"]["clustering"]["status"] == "pending"
    first = views.session_view(faces).model_dump(mode="json")
    assert first == {
        "sessionId": faces.id, "status": "completed",
        "progress": {"current": 20, "total": 20, "percentage": 100.0}, "etaSeconds": None,
    }  # fmt: skip


def test_history_has_aggregates_only_when_asked_for() -> None:
    point: RunPoint = {
        "timestamp": 1.125, "phase": "training", "step": 5, "epoch": 1, "progress_percentage": 12.5,
        "metrics": {"loss": 1.0}, "message": "hello", "eta_seconds": 3.5,
    }  # fmt: skip
    plain = views.run_progress_view(RunProgress("x", [point], None)).model_dump(mode="json")
    assert plain == {"run_id": "x", "progress_history": [point]}
    mean = {"loss": MetricAggregate(current=1.0, mean=2.0, min=1.0, max=3.0)}
    asked = views.run_progress_view(RunProgress("x", [], mean)).model_dump(mode="json")
    assert asked["aggregates"] == {"loss": {"current": 1.0, "mean": 2.0, "min": 1.0, "max": 3.0}}


@given(
    st.sampled_from(list(JobState)),
    st.integers(0, 9999),
    st.none() | st.floats(0, 1e6),
    st.lists(
        st.builds(CounterView, unit=st.sampled_from(["epoch", "step"]), current=st.floats(0, 1e9), total=st.none())
    ),
)
def test_all_views_of_one_snapshot_tell_the_same(
    state: JobState, basis_points: int, eta: float | None, counters: list[CounterView]
) -> None:
    percent = 100.0 if state is JobState.COMPLETED else basis_points / 100
    eta = eta if state in HELD else None
    made = job(state=state, percent=percent, eta_seconds=eta, counters=counters)
    run, training, session = (
        views.run_update(made),
        views.training_progress_view(made),
        views.unified_session_view(made),
    )
    assert {run.progress_percentage, training.percentage, session.overallProgress.percentage} == {percent}
    assert run.eta_seconds == session.overallProgress.etaSeconds == eta
    assert training.is_complete == (percent == 100.0)
    assert {run.run_id, training.job_id, session.sessionId} == {made.id}
    assert (run.estimated_completion is None) == (training.estimated_completion is None) == (eta is None)
