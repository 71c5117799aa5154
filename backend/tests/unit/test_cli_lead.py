"""Between two updates a bar moves on, and never lies about it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headway.cli.lead import Lead


def job(revision: int, percent: float, attempt: int = 1, state: str = "running") -> dict[str, Any]:
    return {"revision": revision, "percent": percent, "attempt": attempt, "state": state, "data_age_seconds": 0.5}


def test_bar_goes_on_at_the_pace_of_late_and_waits_where_the_next_update_is_expected() -> None:
    lead = Lead()
    lead.tell(job(1, 10.0), 100.0)
    assert lead.at(101.0) == 10.0, "nothing is known of the pace yet"
    lead.tell(job(2, 12.0), 102.0)
    assert lead.at(103.0) == 13.0
    assert lead.at(104.0) == lead.at(500.0) == 14.0
    lead.tell(job(3, 13.0), 504.0)
    assert lead.at(504.0) == 14.0, "never backwards"


def test_silence_grows_until_the_job_tells_something() -> None:
    lead = Lead()
    lead.tell(job(1, 10.0), 100.0)
    lead.tell(job(1, 10.0), 130.0)
    assert lead.silent(140.0) == 40.5
    lead.tell(job(2, 11.0), 140.0)
    assert lead.silent(140.0) == 0.5


def test_only_the_truth_is_a_hundred_and_a_new_attempt_may_stand_lower() -> None:
    lead = Lead()
    lead.tell(job(1, 50.0), 0.0)
    lead.tell(job(2, 99.0), 1.0)
    assert lead.at(10.0) == 99.99
    lead.tell(job(3, 40.0, attempt=2), 11.0)
    assert lead.at(12.0) == 40.0
    lead.tell(job(4, 100.0, attempt=2, state="completed"), 13.0)
    assert lead.at(13.0) == 100.0


@given(st.lists(st.tuples(st.floats(0, 99.99), st.floats(0, 30), st.integers(0, 5)), min_size=1, max_size=30))
def test_bar_never_falls_and_never_passes_what_is_expected_next(updates: list[tuple[float, float, int]]) -> None:
    lead, now, shown, percent, furthest = Lead(), 0.0, 0.0, 0.0, 0.0
    for revision, (target, seconds, looks) in enumerate(updates):
        for look in range(looks):
            at = lead.at(now + seconds * look / looks)
            assert shown <= at <= max(furthest, shown) + 1e-9
            shown = at
        now += seconds
        gain, percent = max(0.0, target - percent), max(percent, target)
        lead.tell(job(revision, percent), now)
        furthest = max(furthest, percent + gain) if revision else percent
