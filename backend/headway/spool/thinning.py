"""The stated rule by which metrics are thinned before the spool is full."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """What holds above a share of the quota: one metrics record of `keep_one_of` is kept (0: none), and all events."""

    above: float
    keep_one_of: int
    text: str


KEEP_ALL = Rule(0.0, 1, "the spool has room: every metrics record is kept")
RULES = (
    Rule(0.9, 0, "the spool is over 9/10 full: metrics are dropped, events are kept"),
    Rule(0.75, 10, "the spool is over 3/4 full: 1 metrics record of 10 is kept"),
    Rule(0.5, 2, "the spool is over 1/2 full: 1 metrics record of 2 is kept"),
    KEEP_ALL,
)


def rule_for(used: float) -> Rule:
    """The rule when `used` (0 to 1) of the quota is not drained yet."""
    return next((rule for rule in RULES if used > rule.above), KEEP_ALL)


def no_room(reason: str) -> Rule:
    """The rule while no further segment can be reserved: what is left of the last one is for events."""
    return Rule(0.0, 0, f"no room for a further segment ({reason}): metrics are dropped, events are kept")
