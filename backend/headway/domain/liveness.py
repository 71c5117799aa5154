"""Whether a held job still moves: a flag with the age of its data, judged by the job's own habits. It recovers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Silence that is never remarked on, and silence after which even the calmest job is said to be stalled too early.
LEAST_SLOW_SECONDS, LEAST_STALLED_SECONDS = 15.0, 60.0
SLOW_TIMES_USUAL, SLOW_TIMES_LONGEST = 8.0, 1.5
STALLED_TIMES_SLOW = 3.0
#: A long silence is forgotten by half in this time, so one hang does not blunt the eye for the next.
FORGET_SECONDS = 3600.0
USUAL_SHARE = 0.05


class Liveness(StrEnum):
    """HEALTHY moves as usual; SLOW and STALLED are silent for longer than it ever was; LOST: its lease ran out."""

    HEALTHY = "healthy"
    SLOW = "slow"
    STALLED = "stalled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds between two signs of life: what is usual, and the longest of late; `at` is the last (Unix seconds)."""

    at: float | None = None
    usual: float = 0.0
    longest: float = 0.0
    beats: int = 0


def beat(pulse: Pulse, at: float) -> Pulse:
    """The pulse after a sign of life at `at`."""
    if pulse.at is None:
        return Pulse(at)
    gap = at - pulse.at
    if gap <= 0:
        return pulse
    share = max(USUAL_SHARE, 1 / (pulse.beats + 1))
    faded = pulse.longest * 0.5 ** (gap / FORGET_SECONDS)
    return Pulse(at, pulse.usual + (gap - pulse.usual) * share, max(gap, faded), pulse.beats + 1)


def liveness(age_seconds: float, usual: float, longest: float, *, lease_expired: bool) -> Liveness:
    """How a held job does whose newest data is `age_seconds` old, with its pulse (0: not known yet)."""
    if lease_expired:
        return Liveness.LOST
    slow = max(LEAST_SLOW_SECONDS, SLOW_TIMES_USUAL * usual, SLOW_TIMES_LONGEST * longest)
    if age_seconds > max(LEAST_STALLED_SECONDS, STALLED_TIMES_SLOW * slow):
        return Liveness.STALLED
    return Liveness.SLOW if age_seconds > slow else Liveness.HEALTHY
