"""Comparing runs: time worked, places on the axes, and a verdict that says who was faster and where it gained it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway.domain.compare import (
    Point,
    Run,
    Sample,
    course,
    effective,
    interpolated,
    phase_seconds,
    positions,
    verdict,
)

WEIGHTS = {"loading": 0.1, "extracting": 0.8, "saving": 0.1}
PHASES = list(WEIGHTS)


def run(name: str, loading: float, extracting: float, saving: float, *, kind: str = "k", upto: float = 100.0) -> Run:
    """A run of one attempt that took so many seconds in each phase, seen each percent up to `upto`."""
    samples: list[Sample] = []
    at, done = 1000.0, 0.0
    for phase, seconds in zip(PHASES, (loading, extracting, saving), strict=True):
        whole = 100 * WEIGHTS[phase]
        samples += [
            Sample(at + seconds * part / whole, 1, done + part, phase, int(done + part)) for part in range(round(whole))
        ]
        at, done = at + seconds, done + whole
    samples.append(Sample(at, 1, 100.0, "saving", 100))
    seen = [sample for sample in samples if sample.percent <= upto]
    return Run(f"id-{name}", name, kind, upto == 100.0, WEIGHTS, seen)


def test_faster_run_is_named_with_the_phase_it_gained_it_in() -> None:
    told = verdict([run("A", 10, 50, 10), run("B", 10, 80, 10)])
    assert told.text == "A was 30 % faster than B (1 min 10 s instead of 1 min 40 s); it gained it in extracting."
    assert (told.fastest, told.at_percent) == ("id-A", 100.0)
    (found,) = told.comparisons
    assert (found.run_id, found.gained_in) == ("id-B", "extracting")
    assert found.percent_faster == pytest.approx(30)
    assert found.seconds_gained == pytest.approx(30)
    assert found.seconds_gained_in == pytest.approx(30)


def test_gain_of_a_phase_may_exceed_the_gain_of_all() -> None:
    (found,) = verdict([run("A", 20, 50, 10), run("B", 10, 80, 10)]).comparisons
    assert (found.gained_in, found.seconds_gained) == ("extracting", pytest.approx(20))
    assert found.seconds_gained_in == pytest.approx(30)


def test_equal_runs_have_no_fastest() -> None:
    told = verdict([run("A", 10, 50, 10), run("B", 10, 50.1, 10)])
    assert (told.text, told.fastest) == ("A and B were equally fast.", None)
    assert told.comparisons[0].gained_in is None


def test_runs_under_way_are_compared_by_what_both_have_done() -> None:
    told = verdict([run("A", 10, 80, 10, upto=50), run("B", 10, 40, 10)])
    assert told.at_percent == 50
    assert told.text.startswith("B is 40 % faster than A up to 50.00 % (30.0 s instead of 50.0 s); it gained that in")
    assert told.fastest == "id-B"


def test_three_runs_are_compared_with_the_fastest() -> None:
    told = verdict([run("A", 1, 8, 1), run("B", 1, 4, 1), run("C", 1, 10, 1)])
    assert told.fastest == "id-B"
    assert [each.run_id for each in told.comparisons] == ["id-A", "id-C"]
    assert told.text.count("B was") == 2


def test_runs_of_different_kinds_or_without_progress_get_no_verdict() -> None:
    assert "different kinds (k, other)" in verdict([run("A", 1, 1, 1), run("B", 1, 1, 1, kind="other")]).text
    nothing = Run("id-N", "N", "k", False, WEIGHTS, [])
    assert verdict([run("A", 1, 1, 1), nothing]).fastest is None


def test_namesakes_are_told_apart_by_id() -> None:
    slow = run("A", 10, 80, 10)
    twin = Run("other", "A", "k", True, WEIGHTS, run("A", 10, 40, 10).samples)
    assert verdict([slow, twin]).text.startswith("A (other) was 40 % faster than A (id-A)")


def test_time_between_attempts_does_not_count_but_lost_work_does() -> None:
    samples = [
        Sample(0, 1, 0, "extracting", 0),
        Sample(10, 1, 20, "extracting", 20),
        Sample(500, 2, 10, "extracting", 10),
        Sample(505, 2, 20, "extracting", 20),
    ]
    points = course(Run("r", "r", "k", False, WEIGHTS, samples))
    assert [point.seconds for point in points] == [0, 10, 10, 15]
    assert phase_seconds(points) == {"extracting": 15}
    assert [point.seconds for point in effective(points, lambda point: point.step)] == [0, 10, 15]


def test_axis_of_phases_counts_phases_and_how_far_into_each() -> None:
    made = run("A", 10, 40, 10)
    placed = positions(made, course(made), "phase", PHASES)
    places = {point.percent: x for x, point in placed}
    assert places[0.0] == 0
    assert places[5.0] == pytest.approx(0.5)
    assert places[10.0] == pytest.approx(1.0)
    assert places[50.0] == pytest.approx(1.5)
    assert [x for x, _ in placed] == sorted(x for x, _ in placed)


def test_axes_of_time_and_step() -> None:
    made = run("A", 10, 40, 10)
    points = course(made)
    assert [x for x, _ in positions(made, points, "time", PHASES)] == [point.seconds for point in points]
    assert [x for x, _ in positions(made, points, "step", PHASES)] == [float(step) for step in range(101)]


def test_interpolation_holds_its_ends_and_needs_a_point() -> None:
    assert [interpolated([1, 3], [10, 30], x) for x in (0, 1, 2, 3, 4)] == [10, 10, 20, 30, 30]
    with pytest.raises(ValueError, match="no point"):
        interpolated([], [], 1)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.integers(1, 3), st.floats(0, 100), st.sampled_from([*PHASES, None])),
        max_size=30,
    ),
    st.lists(
        st.tuples(st.floats(0, 100), st.integers(1, 3), st.floats(0, 100), st.sampled_from([*PHASES, None])),
        max_size=30,
    ),
)
@example([(0.0, 1, 0.0, "loading"), (1.0, 1, 41.0, "loading")], [(0.0, 1, 0.0, "loading"), (2e-223, 1, 9.0, "loading")])
def test_verdict_never_fails_and_never_favours_the_slower(a: list[tuple], b: list[tuple]) -> None:
    def made(name: str, drawn: list[tuple]) -> Run:
        ordered = sorted(drawn, key=lambda each: (each[1], each[0]))
        samples = [Sample(at, attempt, percent, phase, int(percent)) for at, attempt, percent, phase in ordered]
        return Run(name, name, "k", False, WEIGHTS, samples)

    told = verdict([made("a", a), made("b", b)])
    assert told.text
    for found in told.comparisons:
        assert 0 <= found.percent_faster <= 100
        assert found.run_id != told.fastest


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_effective_course_rises_strictly_and_keeps_the_end(values: list[float]) -> None:
    points = [Point(float(place), value, None, None) for place, value in enumerate(values)]
    kept = effective(points, lambda point: point.percent)
    percents = [point.percent for point in kept]
    assert percents == sorted(set(percents))
    assert percents[-1:] == values[-1:]
