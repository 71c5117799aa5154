"""Liveness is judged by the job's own habits, and it recovers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.domain.liveness import Liveness, Pulse, beat, liveness

GAPS = st.lists(st.floats(0, 1e5), max_size=40)
RANK = [Liveness.HEALTHY, Liveness.SLOW, Liveness.STALLED]


def pulse_of(gaps: list[float]) -> Pulse:
    pulse, at = Pulse(), 0.0
    for gap in [0.0, *gaps]:
        at += gap
        pulse = beat(pulse, at)
    return pulse


def flag(age: float, gaps: list[float], lease_expired: bool = False) -> Liveness:
    pulse = pulse_of(gaps)
    return liveness(age, pulse.usual, pulse.longest, lease_expired=lease_expired)


@pytest.mark.parametrize(
    ("age", "gaps", "expected"),
    [
        (10, [], Liveness.HEALTHY),
        (20, [], Liveness.SLOW),
        (61, [], Liveness.STALLED),
        (20, [0.1] * 50, Liveness.SLOW),
        (61, [0.1] * 50, Liveness.STALLED),
        (100, [0.1] * 50 + [90] + [0.1] * 50, Liveness.HEALTHY),
        (200, [0.1] * 50 + [90] + [0.1] * 50, Liveness.SLOW),
        (600, [0.1] * 50 + [90] + [0.1] * 50, Liveness.STALLED),
        (200, [30.0] * 20, Liveness.HEALTHY),
    ],
)
def test_silence_is_judged_by_what_the_job_usually_does(age, gaps, expected):
    assert flag(age, gaps) is expected


def test_a_lease_that_ran_out_is_lost_however_fresh_the_data():
    assert flag(0, [], lease_expired=True) is Liveness.LOST


def test_a_job_that_moves_again_is_healthy_again():
    assert flag(700, [0.1] * 20) is Liveness.STALLED
    assert flag(1, [0.1] * 20 + [700]) is Liveness.HEALTHY


def test_an_old_hang_is_forgotten():
    assert flag(900, [1.0] * 20 + [1000]) is Liveness.HEALTHY
    assert flag(900, [1.0] * 20 + [1000] + [1.0] * 30_000) is Liveness.STALLED


@given(GAPS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_older_data_is_never_healthier(gaps, first, second):
    younger, older = sorted([first, second])
    assert RANK.index(flag(younger, gaps)) <= RANK.index(flag(older, gaps))


@given(GAPS)
def test_a_gap_as_long_as_any_of_late_is_healthy(gaps):
    assert flag(pulse_of(gaps).longest, gaps) is Liveness.HEALTHY


@given(GAPS)
def test_time_that_runs_backwards_changes_nothing(gaps):
    pulse = pulse_of(gaps)
    assert beat(pulse, (pulse.at or 0.0) - 5) == pulse
    assert 0 <= pulse.usual <= max(gaps, default=0) + 1e-9
