"""How an attempt's end moves its job."""

from __future__ import annotations

from itertools import product

import pytest

from headway.domain.endings import Decision, Ending, Outcome, Patience, Tries, decide
from headway.domain.failures import Failure, FailureClass
from headway.domain.states import HELD, JobState, may_move

S, O = JobState, Outcome  # noqa: E741
WRONG = Failure(FailureClass.UNKNOWN, "it broke")
CUT = Failure(FailureClass.NETWORK, "the hub is away")
FULL = Failure(FailureClass.DISK_FULL, "no space left")
PATIENCE = Patience(lost=3, transient=4, first_wait_seconds=2, longest_wait_seconds=10)

TABLE = {
    (S.RUNNING, O.COMPLETED): S.COMPLETED,
    (S.RUNNING, O.FAILED): S.FAILED,
    (S.RUNNING, O.CANCELLED): S.QUEUED,
    (S.RUNNING, O.PAUSED): S.QUEUED,
    (S.RUNNING, O.LOST): S.QUEUED,
    (S.PAUSING, O.COMPLETED): S.COMPLETED,
    (S.PAUSING, O.FAILED): S.FAILED,
    (S.PAUSING, O.CANCELLED): S.PAUSED,
    (S.PAUSING, O.PAUSED): S.PAUSED,
    (S.PAUSING, O.LOST): S.PAUSED,
    (S.CANCELLING, O.COMPLETED): S.COMPLETED,
    (S.CANCELLING, O.FAILED): S.CANCELLED,
    (S.CANCELLING, O.CANCELLED): S.CANCELLED,
    (S.CANCELLING, O.PAUSED): S.CANCELLED,
    (S.CANCELLING, O.LOST): S.CANCELLED,
}


@pytest.mark.parametrize(("state", "outcome"), [*product(sorted(HELD), Outcome)])
def test_each_ending_goes_where_the_table_says(state, outcome):
    failure = WRONG if outcome is Outcome.FAILED else None
    assert decide(state, Ending(outcome, failure), Tries(), PATIENCE).target is TABLE[state, outcome]


@pytest.mark.parametrize("failure", [None, WRONG, CUT, FULL])
@pytest.mark.parametrize("tries", [Tries(lost, 2 * lost, bool(lost % 2)) for lost in range(5)])
@pytest.mark.parametrize(("state", "outcome"), [*product(sorted(HELD), Outcome)])
def test_every_decision_is_a_legal_move(state, outcome, tries, failure):
    assert may_move(state, decide(state, Ending(outcome, failure), tries, PATIENCE).target)


def test_a_failure_is_kept_with_its_reason():
    assert decide(S.RUNNING, Ending(O.FAILED, WRONG), Tries(lost=2), PATIENCE) == Decision(S.FAILED, WRONG)


def test_losses_without_progress_are_counted_and_end_the_job():
    tries, decisions = Tries(), list[Decision]()
    for _ in range(4):
        decisions.append(decide(S.RUNNING, Ending(O.LOST), tries, PATIENCE))
        tries = Tries(lost=decisions[-1].lost_attempts)
    assert [decision.target for decision in decisions] == [S.QUEUED, S.QUEUED, S.QUEUED, S.FAILED]
    failure = decisions[-1].failure
    assert failure
    assert failure.failure_class is FailureClass.WORKER_LOST
    assert "4 times without progress" in failure.message


def test_a_new_checkpoint_begins_the_count_of_losses_again():
    decision = decide(S.RUNNING, Ending(O.LOST, progressed=True), Tries(lost=3), PATIENCE)
    assert decision == Decision(S.QUEUED, None, lost_attempts=1)


def test_a_worker_that_shuts_down_costs_no_loss():
    assert decide(S.RUNNING, Ending(O.PAUSED), Tries(lost=2), PATIENCE) == Decision(S.QUEUED, None, lost_attempts=2)


def test_a_network_failure_is_tried_again_after_a_growing_wait_and_ends_the_job_at_last():
    tries, decisions = Tries(), list[Decision]()
    for _ in range(5):
        decisions.append(decide(S.RUNNING, Ending(O.FAILED, CUT), tries, PATIENCE))
        tries = Tries(transient=decisions[-1].transient_failures)
    assert [decision.wait_seconds for decision in decisions] == [2, 4, 8, 10, 0]
    assert [decision.target for decision in decisions] == [S.QUEUED] * 4 + [S.FAILED]
    assert decisions[-1].failure == CUT


@pytest.mark.parametrize(("keeps", "target"), [(True, S.PAUSED), (False, S.FAILED)])
def test_a_full_disk_pauses_what_keeps_checkpoints(keeps, target):
    decision = decide(S.RUNNING, Ending(O.FAILED, FULL), Tries(keeps_checkpoints=keeps), PATIENCE)
    assert (decision.target, decision.failure) == (target, FULL)
