"""Snapshot + events = state: percent never falls, 100 only on completion, phases nest, take turns and are skipped."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.domain.plan import Counter, PhaseSpec
from headway.domain.progress import (
    AttemptEnded,
    CountersMoved,
    Event,
    MessageSaid,
    MetricsLogged,
    PhaseFinished,
    PhaseStarted,
    PhaseState,
    PlanSet,
    Snapshot,
    apply,
    apply_all,
)

NAMES = ("loading", "training", "evaluating", "saving")
PLAN = tuple(
    PhaseSpec(name, name, weight, optional=name == "evaluating")
    for name, weight in zip(NAMES, (1, 6, 2, 1), strict=True)
)
COUNTS = st.builds(Counter, st.just("step"), st.integers(0, 50), st.none() | st.integers(1, 60))


@st.composite
def legal_events(draw: st.DrawFn) -> list[Event]:
    """What a kind can say: phases entered, nested, left for good or for now, skipped; totals that change at will."""
    at, running = 0.0, list[str]()
    events: list[Event] = [PlanSet(at, PLAN)]
    for _ in range(draw(st.integers(0, 25))):
        at += draw(st.integers(0, 8)) / 4
        moves = ["enter", "say", "log", "expect"] + ["leave", "leave again", "count"] * bool(running)
        match draw(st.sampled_from(moves)):
            case "enter":
                name = draw(st.sampled_from([name for name in NAMES if name not in running] or [running[-1]]))
                if name not in running:
                    running.append(name)
                    events.append(PhaseStarted(at, name))
            case "leave":
                events.append(PhaseFinished(at, running.pop()))
            case "leave again":
                events.append(PhaseFinished(at, running.pop(), again=True))
            case "count":
                events.append(CountersMoved(at, running[-1], tuple(draw(st.lists(COUNTS, min_size=1, max_size=3)))))
            case "expect":
                ahead = [name for name in NAMES if name not in running]
                if ahead:
                    total = draw(st.integers(1, 9))
                    events.append(CountersMoved(at, draw(st.sampled_from(ahead)), (Counter("row", 0, total),)))
            case "say":
                events.append(MessageSaid(at, "now this"))
            case _:
                events.append(MetricsLogged(at, draw(st.integers(0, 9)), {"loss": draw(st.floats())}))
    if "evaluating" not in (getattr(event, "name", None) for event in events) and draw(st.booleans()):
        events.insert(draw(st.integers(1, len(events))), PhaseFinished(0.0, "evaluating", skipped=True))
    return events


def states(events: list[Event]) -> list[Snapshot]:
    return list(accumulate(events, apply, initial=Snapshot()))


@given(legal_events())
def test_percent_never_falls_and_never_reaches_a_hundred_by_itself(events):
    percents = [snapshot.percent_bp for snapshot in states(events)]
    assert percents == sorted(percents)
    assert 0 <= percents[0] <= percents[-1] < 10_000


@given(legal_events(), st.sampled_from(["it broke", None]))
def test_only_completion_makes_it_a_hundred(events, error):
    running = apply_all(Snapshot(), events)
    assert apply(running, AttemptEnded(999, completed=False, error=error)).percent_bp == running.percent_bp
    done = apply(running, AttemptEnded(999, completed=True))
    assert done.percent_bp == 10_000
    assert {phase.state for phase in done.phases} <= {PhaseState.COMPLETED, PhaseState.SKIPPED}


@given(legal_events(), st.integers(0, 30))
def test_folding_in_pieces_is_folding_at_once(events, cut):
    assert apply_all(apply_all(Snapshot(), events[:cut]), events[cut:]) == apply_all(Snapshot(), events)


@given(legal_events())
def test_phase_fractions_stay_in_bounds_and_never_fall(events):
    for before, after in zip(states(events)[1:], states(events)[2:], strict=False):
        for old, new in zip(before.phases, after.phases, strict=True):
            assert 0 <= old.fraction <= new.fraction <= 1


@given(legal_events())
def test_weights_of_what_runs_sum_to_one(events):
    assert sum(phase.weight for phase in apply_all(Snapshot(), events).phases) == pytest.approx(1)


@given(legal_events())
def test_time_belongs_to_one_phase_at_a_time(events):
    ended = apply(apply_all(Snapshot(), events), AttemptEnded(999, completed=True))
    began = min((event.at for event in events if isinstance(event, PhaseStarted)), default=999)
    assert 0 <= sum(phase.seconds for phase in ended.phases) <= 999 - began + 1e-9


@given(legal_events())
def test_no_phase_waits_around_itself(events):
    for snapshot in states(events):
        assert snapshot.phase not in snapshot.outer
        assert len(set(snapshot.outer)) == len(snapshot.outer)


def counted(at: float, phase: str, current: float, total: float | None = 100) -> CountersMoved:
    return CountersMoved(at, phase, (Counter("step", current, total),))


def planned(*events: Event) -> Snapshot:
    return apply_all(Snapshot(), [PlanSet(0, PLAN), *events])


def by_name(snapshot: Snapshot) -> dict[str, tuple[PhaseState, float, float]]:
    return {phase.spec.name: (phase.state, phase.fraction, phase.seconds) for phase in snapshot.phases}


def test_a_growing_total_makes_the_percent_wait():
    started = PhaseStarted(0, "training")
    half = planned(started, counted(1, "training", 50))
    grown = apply(half, counted(2, "training", 51, total=200))
    assert half.percent_bp == grown.percent_bp == 3000
    assert apply(grown, counted(3, "training", 150, total=200)).percent_bp == 4500


def test_a_counter_without_a_total_moves_no_percent():
    assert planned(PhaseStarted(0, "training"), counted(1, "training", 50, total=None)).percent_bp == 0


def test_phases_take_turns_and_only_their_last_round_completes_them():
    def round_of(name: str, number: int, at: float) -> list[Event]:
        return [
            PhaseStarted(at, name),
            CountersMoved(at + 1, name, (Counter("round", number, 2),)),
            PhaseFinished(at + 2, name, again=number < 2),
        ]

    first = planned(*round_of("training", 1, 0), *round_of("evaluating", 1, 2))
    assert by_name(first)["training"] == (PhaseState.PENDING, 0.5, 2)
    assert first.percent_bp == 4000
    both = apply_all(first, [*round_of("training", 2, 4), *round_of("evaluating", 2, 6)])
    assert by_name(both)["training"] == (PhaseState.COMPLETED, 1, 4)
    assert by_name(both)["evaluating"] == (PhaseState.COMPLETED, 1, 4)


def test_a_nested_phase_gives_back_to_the_one_around_it():
    inside = planned(
        PhaseStarted(0, "training"),
        counted(3, "training", 30),
        PhaseStarted(4, "evaluating"),
        counted(5, "evaluating", 1),
    )
    assert (inside.phase, inside.outer, inside.counters[0].current) == ("evaluating", ("training",), 1)
    after = apply(inside, PhaseFinished(6, "evaluating", again=True))
    assert (after.phase, after.outer, after.counters[0].current) == ("training", (), 30)
    assert by_name(apply(after, PhaseFinished(9, "training")))["training"] == (PhaseState.COMPLETED, 1, 7)
    assert by_name(after)["evaluating"] == (PhaseState.PENDING, 0.01, 2)


def test_a_skipped_phase_gives_its_weight_to_the_rest():
    snapshot = planned(PhaseStarted(0, "training"), counted(1, "training", 50))
    skipped = apply(snapshot, PhaseFinished(2, "evaluating", skipped=True))
    assert (snapshot.percent_bp, skipped.percent_bp) == (3000, 3750)
    assert skipped.phase == "training"


def test_the_size_of_a_phase_to_come_moves_nothing():
    snapshot = planned(PhaseStarted(0, "training"), counted(1, "training", 50))
    told = apply(snapshot, counted(2, "saving", 0, total=7))
    assert (told.percent_bp, told.phase, told.counters) == (snapshot.percent_bp, "training", snapshot.counters)
    assert told.phases[3].counters == (Counter("step", 0, 7),)


def test_a_resumed_attempt_begins_where_it_goes_on():
    earlier = planned(PhaseStarted(0, "training"), counted(1, "training", 90))
    again = apply_all(earlier, [PlanSet(5, PLAN), PhaseStarted(6, "training"), counted(7, "training", 60)])
    assert again.percent_bp == 3600


def test_a_failure_marks_the_phase_it_happened_in():
    failed = apply(planned(PhaseStarted(0, "training")), AttemptEnded(5, completed=False, error="it broke"))
    assert (failed.phases[1].state, failed.phases[1].error, failed.phases[1].seconds) == (
        PhaseState.FAILED,
        "it broke",
        5,
    )


def test_metrics_keep_the_newest_value_and_null_for_what_is_not_finite():
    snapshot = planned(MetricsLogged(1, 5, {"loss": 2.0, "l0": 3.0}), MetricsLogged(2, 4, {"loss": float("nan")}))
    assert (dict(snapshot.metrics), snapshot.step) == ({"loss": None, "l0": 3.0}, 5)
