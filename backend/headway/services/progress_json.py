"""A snapshot with its forecast as the job row stores it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headway.domain.eta import Estimate
from headway.domain.plan import Counter, PhaseSpec
from headway.domain.progress import PhaseProgress, PlanSet, Snapshot, apply

_NOTHING_KNOWN = Estimate()


def progress_json(snapshot: Snapshot, estimate: Estimate = _NOTHING_KNOWN) -> dict[str, Any]:
    """The value of `jobs.progress`; `services.views` reads it."""
    known = estimate.seconds is not None
    return {
        "phase": snapshot.phase,
        "phases": [_phase_json(phase, estimate) for phase in snapshot.phases],
        "counters": _counters_json(snapshot.counters),
        "message": snapshot.message,
        "metrics": dict(snapshot.metrics),
        "step": snapshot.step,
        "rate": estimate.rate,
        "rate_unit": estimate.rate_unit,
        "pulse": [round(seconds, 3) for seconds in estimate.pulse],
        "eta": [_rounded(estimate.seconds), _rounded(estimate.low), _rounded(estimate.high)] if known else None,
    }


def ended_progress(snapshot: Snapshot, before: Mapping[str, Any]) -> dict[str, Any]:
    """The progress of an attempt that is over; how fast it was and what telling it cost are kept from `before`."""
    rates = {phase["name"]: phase for phase in before.get("phases", ())}
    ended = progress_json(snapshot)
    for phase in ended["phases"]:
        known = rates.get(phase["name"], phase)
        phase |= {"rate": known.get("rate"), "rate_unit": known.get("rate_unit")}
    return ended | {"overhead": before.get("overhead")}


def planned_progress(phases: tuple[PhaseSpec, ...], at: float) -> dict[str, Any]:
    """The progress of a job that has not started: its plan, all of it pending."""
    return progress_json(apply(Snapshot(), PlanSet(at, phases)))


def _phase_json(phase: PhaseProgress, estimate: Estimate) -> dict[str, Any]:
    rate, unit = estimate.phase_rates.get(phase.spec.name, (None, None))
    return {
        "name": phase.spec.name,
        "title": phase.spec.title,
        "weight": round(phase.weight, 6),
        "state": phase.state,
        "fraction": phase.fraction,
        "seconds": round(phase.seconds, 3),
        "counters": _counters_json(phase.counters),
        "rate": rate,
        "rate_unit": unit,
        "started_at": phase.started_at,
        "finished_at": phase.finished_at,
        "error": phase.error,
        "eta_seconds": _rounded(estimate.phase_seconds.get(phase.spec.name)),
    }


def _counters_json(counters: Iterable[Counter]) -> list[dict[str, Any]]:
    return [{"unit": counter.unit, "current": counter.current, "total": counter.total} for counter in counters]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
