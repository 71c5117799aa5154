"""Where a bar stands between two updates: on at the pace of late, never past the next expected update, never back.

Twin of frontend/src/lib/progress/lead.ts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Updates further apart than this say nothing about when the next one comes.
LONGEST_INTERVAL_SECONDS = 60.0
#: Only the truth is 100.
MOST_AHEAD = 99.99


@dataclass(slots=True)
class Lead:
    """One job's bar; percent and seconds."""

    shown: float = 0.0
    _told: dict[str, Any] = field(default_factory=dict[str, Any])
    _told_at: float = 0.0
    _from: float = 0.0
    _gain: float = 0.0
    _interval: float = 0.0

    def tell(self, job: dict[str, Any], now: float) -> None:
        """The job was told at `now`; a new attempt may stand lower."""
        shown, told = self.at(now), self._told
        if told and told["revision"] == job["revision"]:
            return
        goes_on = bool(told) and told["attempt"] == job["attempt"] and job["state"] == "running"
        self._gain = job["percent"] - told["percent"] if goes_on else 0.0
        self._interval = now - self._told_at if goes_on else 0.0
        if self._interval > LONGEST_INTERVAL_SECONDS:
            self._gain = 0.0
        self._told, self._told_at = job, now
        self._from = self.shown = max(shown, job["percent"]) if goes_on else job["percent"]

    def silent(self, now: float) -> float:
        """Seconds since the job last told something, at `now`."""
        return self._told["data_age_seconds"] + now - self._told_at

    def at(self, now: float) -> float:
        """What to show at `now`."""
        if self._gain > 0 and self._interval > 0:
            furthest = min(MOST_AHEAD, self._told["percent"] + self._gain)
            done = min(1.0, (now - self._told_at) / self._interval)
            self.shown = max(self.shown, self._from + (furthest - self._from) * done)
        return self.shown
