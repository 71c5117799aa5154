"""Job states and their moves."""

from __future__ import annotations

import pytest

from headway.domain.states import HELD, LEGAL_MOVES, TERMINAL, JobState, may_move, sources_of


def test_every_state_has_its_moves():
    assert set(LEGAL_MOVES) == set(JobState)


def test_what_has_ended_never_moves():
    assert {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED} == TERMINAL
    assert not any(may_move(ended, state) for ended in TERMINAL for state in JobState)


def test_every_state_can_be_reached_and_can_end():
    reached, frontier = set(), {JobState.WAITING}
    while frontier:
        reached |= frontier
        frontier = {state for source in frontier for state in LEGAL_MOVES[source]} - reached
    assert reached == set(JobState)
    assert all(JobState.CANCELLED in LEGAL_MOVES[state] for state in set(JobState) - TERMINAL)


@pytest.mark.parametrize("target", JobState)
def test_sources_of_is_the_table_read_backwards(target):
    assert sources_of(target) == {source for source in JobState if may_move(source, target)}


@pytest.mark.parametrize("state", JobState)
def test_only_a_held_job_can_complete(state):
    assert may_move(state, JobState.COMPLETED) == (state in HELD)


@pytest.mark.parametrize("state", JobState)
def test_a_job_starts_from_the_queue_alone(state):
    assert may_move(state, JobState.RUNNING) == (state is JobState.QUEUED)
