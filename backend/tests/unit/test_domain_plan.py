"""Weights, and counters that refine one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.domain.plan import Counter, basis_points, fraction, shared_weights

FRACTIONS = st.floats(0, 1)
ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)
COUNTERS = st.lists(st.builds(Counter, st.just("step"), ANY_NUMBER, st.none() | ANY_NUMBER), max_size=4)


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ([], 0),
        ([Counter("step", 25, 100)], 0.25),
        ([Counter("epoch", 1, 4), Counter("step", 50, 100)], 0.375),
        ([Counter("epoch", 1, 4), Counter("step", 50, 100), Counter("iteration", 1, 2)], 0.37625),
        ([Counter("epoch", 1, 4), Counter("step", 50, None)], 0.25),
        ([Counter("row", 70, None), Counter("step", 1, 2)], 0),
        ([Counter("step", 5, 0)], 0),
        ([Counter("step", 300, 100)], 1),
        ([Counter("step", -3, 100)], 0),
    ],
)
def test_inner_counters_refine_the_unit_under_way(counters, expected):
    assert fraction(counters) == pytest.approx(expected)


@given(COUNTERS)
def test_a_fraction_stays_in_bounds_whatever_is_counted(counters):
    assert 0 <= fraction(counters) <= 1


@given(st.integers(1, 50), st.integers(0, 49), st.integers(1, 50), st.data())
def test_a_fraction_grows_with_the_inner_counter_and_never_past_the_next_outer_one(outer, done, inner, data):
    done = min(done, outer - 1)
    first = data.draw(st.integers(0, inner))
    second = data.draw(st.integers(first, inner))

    def at(count: float) -> float:
        return fraction([Counter("epoch", done, outer), Counter("step", count, inner)])

    assert done / outer <= at(first) <= at(second) <= (done + 1) / outer + 1e-12


@given(st.lists(st.tuples(st.floats(-1, 100), st.booleans()), min_size=1, max_size=8))
def test_weights_of_what_runs_sum_to_one(phases):
    weights, runs = zip(*phases, strict=True)
    shared = shared_weights(weights, runs)
    assert sum(shared) == pytest.approx(1 if any(runs) else 0)
    assert all(weight >= 0 and (run or weight == 0) for weight, run in zip(shared, runs, strict=True))


@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), max_size=6))
def test_a_hundred_percent_is_for_the_completed_alone(weighted):
    assert 0 <= basis_points(weighted) <= 9999
    assert basis_points(weighted, completed=True) == 10_000
