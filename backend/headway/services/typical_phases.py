"""What earlier jobs of a kind teach the forecasts and the phase weights of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Engine

from headway.domain import eta
from headway.domain.plan import PhaseSpec
from headway.domain.typical import PhaseRun, Typical, learned_weights, typical_of
from headway.jobs.kind import Kind
from headway.services.feed import Feed
from headway.storage import kind_runs
from headway.storage.engine import transaction
from headway.storage.rows import Row

RUNS_LEARNED_FROM = 20


def typical_phases(engine: Engine, kind: str, host: str) -> dict[str, Typical]:
    """How the phases of the kind usually go on this host. Raises UnavailableError."""
    with transaction(engine) as connection:
        runs = kind_runs.newest_runs(connection, kind, host, RUNS_LEARNED_FROM)
    return typical_of([{name: run_of(phase) for name, phase in phases.items()} for phases in runs])


def keep_run(connection: Connection, feed: Feed, kind: str) -> None:
    """Keep how the phases of a job that just completed went."""
    phases = {name: asdict(run) for name, run in eta.runs(feed.forecaster, feed.snapshot).items()}
    if phases:
        kind_runs.add_run(connection, feed.job_id, kind, feed.host, phases)


def phases_of_attempt(kind: Kind, row: Row, typical: Mapping[str, Typical]) -> list[PhaseSpec]:
    """The plan of an attempt: weights learned when the job first starts, and kept from then on."""
    if row["attempt"] > 1:
        progress: Mapping[str, Any] = row["progress"]
        kept: dict[str, float] = {phase["name"]: phase["weight"] for phase in progress.get("phases", ())}
        return [replace(phase, weight=kept.get(phase.name, phase.weight)) for phase in kind.phases]
    return list(kind.phases if kind.fixed_weights else learned_weights(kind.phases, typical))


def run_of(phase: Mapping[str, Any]) -> PhaseRun:
    """A phase of a run as it was kept."""
    values = dict(phase)
    values["shares"] = tuple(phase["shares"])
    return PhaseRun(**values)
