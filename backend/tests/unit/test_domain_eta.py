"""The ETA: right on courses whose end is known, silent before it can be trusted, bounded in memory and cost."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.domain import eta
from headway.domain.course import MOST_POINTS, MOST_STOPS
from headway.domain.plan import Counter, PhaseSpec
from headway.domain.progress import (
    AttemptEnded,
    CountersMoved,
    Event,
    PhaseFinished,
    PhaseStarted,
    PlanSet,
    Snapshot,
    apply,
)
from headway.domain.typical import PhaseRun, Typical, learned_weights, typical_of

TRAINING = PhaseSpec("training", "Training", 95)
SAVING = PhaseSpec("saving", "Saving", 5)


def counted(at: float, done: float, total: float, phase: str = "training", unit: str = "step") -> CountersMoved:
    return CountersMoved(at, phase, (Counter(unit, done, total),))


def steps(costs: list[float], *, begin: int = 0, total: int = 0) -> list[Event]:
    """One phase whose steps take so long each."""
    ends = list(accumulate(costs, initial=0.0))
    moves = [counted(at, begin + number, total or begin + len(costs)) for number, at in enumerate(ends)]
    return [PlanSet(0, (TRAINING,)), PhaseStarted(0, "training"), *moves]


def fold(events: list[Event], typical: dict[str, Typical] | None = None) -> Iterator[tuple[float, eta.Estimate]]:
    """The estimate after each event."""
    snapshot, forecaster = Snapshot(), eta.Forecaster(typical or {})
    for event in events:
        snapshot = apply(snapshot, event)
        forecaster = eta.observe(forecaster, snapshot, event.at)
        yield event.at, eta.estimate(forecaster, snapshot, event.at)


def at_share(
    events: list[Event], share: float, typical: dict[str, Typical] | None = None
) -> tuple[eta.Estimate, float]:
    """The estimate at a share of the duration, and what is truly left then."""
    end = events[-1].at
    at, estimate = next(each for each in fold(events, typical) if each[0] >= share * end)
    return estimate, end - at


def error_at(events: list[Event], share: float, typical: dict[str, Typical] | None = None) -> float:
    estimate, truth = at_share(events, share, typical)
    assert estimate.seconds is not None
    return abs(estimate.seconds / truth - 1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_even_steps_are_forecast_exactly(share):
    assert error_at(steps([0.1] * 600), share) < 0.01


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_uneven_steps_are_forecast_by_their_mean(share):
    generator = random.Random(1)
    assert error_at(steps([generator.uniform(0.02, 0.3) for _ in range(900)]), share) < 0.1


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_slow_start_is_left_behind(share):
    assert error_at(steps([1.0] * 8 + [0.1] * 600), share) < 0.1


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_stops_that_keep_a_period_are_forecast_one_by_one(share):
    costs = [0.1 + (4.0 if number % 80 == 0 else 0.0) for number in range(1, 801)]
    assert error_at(steps(costs), share) < 0.05


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_throttle_is_believed_once_it_is_plain(share):
    assert error_at(steps([0.05] * 400 + [0.2] * 400), share) < 0.12


def test_a_resumed_attempt_is_forecast_by_its_own_time():
    assert error_at(steps([0.1] * 300, begin=700), 0.2) < 0.02


def test_a_total_that_grows_moves_the_end():
    events = steps([0.1] * 400, total=400)
    grown = [
        replace(e, counters=(replace(e.counters[0], total=800),)) if isinstance(e, CountersMoved) and e.at > 20 else e
        for e in events
    ]
    last = [estimate for at, estimate in fold(grown) if at <= 30][-1]
    assert last.seconds == pytest.approx(50, rel=0.03)


def test_nothing_is_said_before_it_can_be_trusted():
    early = [estimate for at, estimate in fold(steps([0.1] * 600)) if at < 1.5]
    assert all(estimate.seconds is None for estimate in early)


def test_activity_without_a_total_has_a_rate_and_no_end():
    moves = [CountersMoved(n / 10, "training", (Counter("row", n * 5, None),)) for n in range(200)]
    *_, (_, last) = fold([PlanSet(0, (TRAINING,)), PhaseStarted(0, "training"), *moves])
    assert last.seconds is None
    assert (last.rate, last.rate_unit) == (pytest.approx(50, rel=0.1), "row")


def test_the_rate_is_that_of_the_outermost_counter_that_moves_about_once_a_second():
    def nested(at: float, epoch: int, step: int) -> CountersMoved:
        return CountersMoved(at, "training", (Counter("epoch", epoch, 3), Counter("step", step, 100)))

    moves = [nested(n / 10, n // 100, n % 100) for n in range(250)]
    *_, (_, last) = fold([PlanSet(0, (TRAINING,)), PhaseStarted(0, "training"), *moves])
    assert (last.rate, last.rate_unit) == (pytest.approx(10, rel=0.1), "step")
    overall = [
        CountersMoved(n / 10, "training", (Counter("byte", n * 1e6, 3e8), Counter("a.bin", n % 9, 9)))
        for n in range(250)
    ]
    *_, (_, last) = fold([PlanSet(0, (TRAINING,)), PhaseStarted(0, "training"), *overall])
    assert (last.rate, last.rate_unit) == (pytest.approx(1e7, rel=0.1), "byte")


def turns(rounds: int, train: float, evaluate: float) -> list[Event]:
    """Training and evaluating in turns, ten steps each a round."""
    plan = (TRAINING, PhaseSpec("evaluating", "Evaluating", 5))
    events, at = [PlanSet(0.0, plan)], 0.0
    for number in range(rounds):
        for name, seconds in (("training", train), ("evaluating", evaluate)):
            events.append(PhaseStarted(at, name))
            for step in range(1, 11):
                at += seconds / 10
                counters = (Counter("round", number, rounds), Counter("step", step, 10))
                events.append(CountersMoved(at, name, counters))
            events.append(PhaseFinished(at, name, again=number + 1 < rounds))
    return events


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_phases_in_turns_are_forecast_each_by_its_own_rounds(share):
    assert error_at(turns(8, train=6, evaluate=3), share) < 0.05


def test_time_in_one_phase_is_not_counted_in_another():
    events = turns(6, train=5, evaluate=50)
    estimates = [estimate.phase_seconds for at, estimate in fold(events) if at > 60]
    trained = [phases["training"] for phases in estimates if "training" in phases]
    assert all(left <= 26 for left in trained)


SAVED = {"saving": Typical(seconds=20, spread=0.2)}


def test_a_phase_to_come_takes_as_long_as_it_did_in_earlier_jobs():
    events = [replace(e, phases=(TRAINING, SAVING)) if isinstance(e, PlanSet) else e for e in steps([0.1] * 400)]
    estimate, truth = at_share(events, 0.5, SAVED)
    assert estimate.seconds == pytest.approx(truth + 20, rel=0.05)
    assert estimate.phase_seconds["saving"] == 20
    by_weight, truth = at_share(events, 0.5)
    assert by_weight.seconds == pytest.approx(truth + 40 * 5 / 95, rel=0.05)


def test_a_phase_to_come_is_scaled_by_its_size():
    typical = {"saving": Typical(seconds=20, pace=2.0, unit="shard", spread=0.2)}
    events = [replace(e, phases=(TRAINING, SAVING)) if isinstance(e, PlanSet) else e for e in steps([0.1] * 400)]
    events.insert(2, counted(0, 0, 30, phase="saving", unit="shard"))
    estimate, truth = at_share(events, 0.5, typical)
    assert estimate.seconds == pytest.approx(truth + 60, rel=0.05)


def test_weights_alone_are_not_enough_for_most_of_the_work():
    plan = (PhaseSpec("loading", "Loading", 5), TRAINING)
    moves = [counted(n / 10, n, 100, phase="loading") for n in range(60)]
    assert all(e.seconds is None for _, e in fold([PlanSet(0, plan), PhaseStarted(0, "loading"), *moves]))


def finished(costs: list[float]) -> dict[str, PhaseRun]:
    """What a whole job leaves for later ones."""
    snapshot, forecaster = Snapshot(), eta.Forecaster()
    for event in [*steps(costs), PhaseFinished(sum(costs), "training")]:
        snapshot = apply(snapshot, event)
        forecaster = eta.observe(forecaster, snapshot, event.at)
    return eta.runs(forecaster, apply(snapshot, AttemptEnded(sum(costs), completed=True)))


def test_a_shape_seen_before_is_forecast_from_the_start():
    half_slow = [0.3] * 100 + [0.1] * 400
    typical = typical_of([finished(half_slow), finished([cost * 2 for cost in half_slow])])
    for share in (0.15, 0.3):
        assert error_at(steps([cost * 1.5 for cost in half_slow]), share, typical) < 0.15
        assert error_at(steps([cost * 1.5 for cost in half_slow]), share) > 0.3


def test_stops_that_earlier_jobs_made_are_counted_on_before_the_first():
    stopping = [0.1 + (4.0 if number % 80 == 0 else 0.0) for number in range(1, 801)]
    typical = typical_of([finished(stopping), finished(stopping)])
    assert error_at(steps(stopping), 0.05, typical) < 0.1
    assert error_at(steps(stopping), 0.05) > 0.2


def test_a_shape_that_earlier_jobs_do_not_share_is_not_believed():
    first, second = finished([0.3] * 200 + [0.1] * 300), finished([0.1] * 200 + [0.3] * 300)
    assert error_at(steps([0.1] * 600), 0.4, typical_of([first, second])) < 0.05


def test_what_is_kept_of_a_job_tells_seconds_work_and_course():
    run = finished([0.1] * 400)["training"]
    assert (run.seconds, run.done, run.unit, run.part) == (pytest.approx(40), 400, "step", 1)
    assert run.shares == pytest.approx([knot / 32 for knot in range(33)], abs=0.01)


def test_weights_are_learned_from_seconds_when_all_are_known():
    phases = (TRAINING, SAVING)
    assert learned_weights(phases, SAVED) == phases
    known = {**SAVED, "training": Typical(seconds=60)}
    assert [phase.weight for phase in learned_weights(phases, known)] == [60, 20]


CHANGES = st.lists(st.tuples(st.floats(0, 5), st.floats(-3, 20), st.integers(1, 120)), max_size=60)


@settings(deadline=None)
@given(CHANGES, st.sampled_from([{}, SAVED, {"training": Typical(30, 0.3, "step")}]))
def test_whatever_is_counted_an_estimate_is_finite_and_inside_its_band(changes, typical):
    at, done, events = 0.0, 0.0, [PlanSet(0, (TRAINING, SAVING)), PhaseStarted(0, "training")]
    for gap, step, total in changes:
        at, done = at + gap, max(0.0, done + step)
        events.append(counted(at, done, total))
    for _, estimate in fold(events, typical):
        if estimate.seconds is not None:
            assert estimate.low is not None
            assert estimate.high is not None
            assert 0 <= estimate.low <= estimate.seconds <= estimate.high < math.inf
        assert all(0 <= seconds < math.inf for seconds in estimate.phase_seconds.values())


def test_memory_and_cost_stay_bounded_over_a_long_job():
    snapshot, forecaster = Snapshot(), eta.Forecaster()
    generator, at = random.Random(2), 0.0
    costs: list[float] = []
    for event in [PlanSet(0, (TRAINING,)), PhaseStarted(0, "training")]:
        snapshot = apply(snapshot, event)
    for number in range(20_000):
        at += generator.choice((0.1, 0.1, 0.1, 0.1, 3.0))
        snapshot = apply(snapshot, counted(at, number, 40_000))
        began = time.thread_time()
        forecaster = eta.observe(forecaster, snapshot, at)
        if number % 50 == 0:
            eta.estimate(forecaster, snapshot, at)
            costs.append(time.thread_time() - began)
    course = forecaster.courses["training"]
    assert len(course.points) <= MOST_POINTS
    assert len(course.stops) <= MOST_STOPS
    assert len(forecaster.recent) < 30
    # 100 µs on a quiet machine; this only catches a cost that grows with the job
    assert sorted(costs)[len(costs) // 2] < 1e-3
