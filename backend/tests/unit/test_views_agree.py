"""All views of one revision, the pushed object and the history's last point tell the same, whatever a job said."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headway.api import views
from headway.domain import eta
from headway.domain.progress import AttemptEnded, Event, Snapshot, apply
from headway.domain.states import HELD, JobState
from headway.services.progress_json import ended_progress, progress_json
from headway.services.read_run_progress import RunProgress, RunProgressQuery, point_now
from headway.services.views import job_json, job_view
from headway.storage.rows import Row
from tests.unit.test_domain_progress import legal_events

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def rows(events: list[Event], ending: JobState) -> list[Row]:
    """The job's row as drains would have stored it after each event, and at the end."""
    snapshot, forecaster, found = Snapshot(), eta.Forecaster(), list[Row]()
    for revision, event in enumerate(events, 1):
        snapshot = apply(snapshot, event)
        forecaster = eta.observe(forecaster, snapshot, event.at)
        progress = progress_json(snapshot, eta.estimate(forecaster, snapshot, event.at))
        found.append(row(JobState.RUNNING, revision, snapshot.percent_bp, progress))
    ended = apply(snapshot, AttemptEnded(events[-1].at + 1, ending is JobState.COMPLETED, None))
    progress = ended_progress(ended, found[-1]["progress"])
    return [*found, row(ending, len(events) + 1, ended.percent_bp, progress)]


def row(state: JobState, revision: int, basis_points: int, progress: dict[str, Any]) -> Row:
    made: Row = defaultdict(lambda: None)  # what a running job has nothing for is null in its row
    made |= {"id": "abcdefghijkm", "kind": "k", "name": "n", "tags": [], "notes": "", "owner": "", "queue": "cpu"}
    made |= {"priority": 0, "attempt": 1, "revision": revision, "events_count": 0, "config": {}, "resources": {}}
    made |= {"depends_on": [], "waiting_for": [], "created_at": NOW, "started_at": NOW, "updated_at": NOW}
    made |= {"state": state, "percent_bp": basis_points, "data_age": 0.0, "lease_expired": False, "error": None}
    return made | {"progress": json.loads(json.dumps(progress))}


@given(legal_events(), st.sampled_from([JobState.COMPLETED, JobState.CANCELLED, JobState.PAUSED]))
def test_percent_and_eta_are_equal_in_all_views_at_each_revision(events: list[Event], ending: JobState) -> None:
    percents: list[float] = []
    for stored in rows(events, ending):
        job = job_view(stored)
        pushed, update, run = job_json(stored), views.run_update(job), views.run_view(job)
        training, session = views.training_progress_view(job), views.unified_session_view(job)
        now = point_now(job, RunProgressQuery(), None)
        assert now is not None
        (point,) = views.run_progress_view(RunProgress(job.id, [now], None)).progress_history
        told = {pushed["percent"], run.progress_percentage, update.progress_percentage, training.percentage}
        told |= {session.overallProgress.percentage, point["progress_percentage"]}
        assert told == {job.percent}
        assert pushed["revision"] == update.revision == job.revision
        etas = [pushed["eta_seconds"], run.eta_seconds, session.overallProgress.etaSeconds, point["eta_seconds"]]
        assert etas == [job.eta_seconds] * 4
        assert training.is_complete == (job.percent == 100.0) == (job.state is JobState.COMPLETED)
        assert job.state in HELD or job.eta_seconds is None
        percents.append(job.percent)
    assert percents == sorted(percents)


@given(legal_events())
def test_counters_and_rates_of_a_phase_outlive_it(events: list[Event]) -> None:
    *running, ended = rows(events, JobState.COMPLETED)
    last, over = job_view(running[-1]), job_view(ended)
    assert [phase.counters for phase in over.phases] == [phase.counters for phase in last.phases]
    assert [(phase.rate, phase.rate_unit) for phase in over.phases] == [(p.rate, p.rate_unit) for p in last.phases]
    for phase in over.phases:
        assert (phase.rate is None) == (phase.rate_unit is None)
        assert phase.rate is None or phase.rate >= 0
    if last.phase is not None:
        assert next(phase.counters for phase in last.phases if phase.name == last.phase) == last.counters
