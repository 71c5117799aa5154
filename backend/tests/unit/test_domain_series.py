"""Which attempt owns which step of a curve."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.domain.series import BEGAN_ANEW, LAST_STEP, AttemptSpan, owned_until

STEPS = st.just(BEGAN_ANEW) | st.integers(0, 60)
SPANS = st.lists(st.none() | STEPS, min_size=1, max_size=6).map(
    lambda resumed: [AttemptSpan(number, step) for number, step in enumerate([BEGAN_ANEW, *resumed[1:]], 1)]
)


def owners(attempts: list[AttemptSpan], step: int) -> list[int]:
    owned = owned_until(attempts)
    began = {span.number: span.resumed_from_step for span in attempts if span.resumed_from_step is not None}
    return [number for number, first in began.items() if first < step <= owned[number]]


def test_an_attempt_owns_up_to_where_the_next_resumed():
    spans = [AttemptSpan(1, BEGAN_ANEW), AttemptSpan(2, 50), AttemptSpan(3, 30)]
    assert owned_until(spans) == {1: 30, 2: 30, 3: LAST_STEP}


def test_beginning_anew_takes_everything():
    spans = [AttemptSpan(1, BEGAN_ANEW), AttemptSpan(2, 50), AttemptSpan(3, BEGAN_ANEW)]
    assert owned_until(spans) == {1: -1, 2: -1, 3: LAST_STEP}


def test_an_attempt_that_never_began_takes_nothing():
    spans = [AttemptSpan(1, BEGAN_ANEW), AttemptSpan(2, None), AttemptSpan(3, 40)]
    assert owned_until(spans) == {1: 40, 2: 40, 3: LAST_STEP}


@given(SPANS, st.integers(0, 80))
def test_each_step_has_exactly_one_owner_in_any_order_of_attempts(attempts, step):
    assert len(owners(attempts, step)) == 1
    assert owned_until(attempts[::-1]) == owned_until(attempts)


@given(SPANS, st.integers(0, 80))
def test_the_owner_is_the_latest_attempt_that_could_have_logged_the_step(attempts, step):
    began = [span for span in attempts if span.resumed_from_step is not None]
    could = [span.number for span in began if span.resumed_from_step < step]
    assert owners(attempts, step) == [max(could)]
