"""How right an ETA is: replays recorded traces of real jobs through Headway's estimator and through its peers'.

`python backend/bench/eta.py [--write]`; `--write` renews the tables and pictures of docs/architecture/eta.md. Moments
are evenly spaced in a job's true duration. An estimate is right within 10 % when it differs from the seconds truly
left by at most 10 % of them, or by half a second, the least a display of whole seconds can show. Silence is a miss.
"""

from __future__ import annotations

import gzip
import json
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from eta_peers import PEERS, Ours, Peer, Told
from eta_report import write_report

from headway.domain import eta
from headway.domain.progress import PlanSet, Snapshot, apply
from headway.services.feed import domain_event
from headway.spool.records import EventKind

TRACES = HERE / "traces"
MOMENTS = 200
RESOLUTION_SECONDS = 0.5
SHAPES = ("steady", "slow-start", "periodic", "download", "uneven", "resume", "crowded")

ALONE = "Headway, first of its kind"
TOLD = "told its seconds"

Typicals = Mapping[str, eta.Typical]


@dataclass(frozen=True)
class Trace:
    """A recorded job: its events, and its true duration in seconds."""

    name: str
    shape: str
    kind: str
    events: Sequence[tuple[float, EventKind, Mapping[str, Any]]]

    @property
    def crowded(self) -> bool:
        return self.shape == "crowded"

    @property
    def seconds(self) -> float:
        return self.events[-1][0]


@dataclass(frozen=True)
class Moment:
    """At a share of the duration: what was truly left and what was said."""

    share: float
    truth: float
    guess: float | None
    low: float | None
    high: float | None

    def within(self, share: float) -> bool:
        return self.guess is not None and abs(self.guess - self.truth) <= max(share * self.truth, RESOLUTION_SECONDS)

    @property
    def error(self) -> float:
        """Relative to what is truly left, at least to the resolution; infinite when nothing is said."""
        return (
            math.inf if self.guess is None else abs(self.guess - self.truth) / max(self.truth, 2 * RESOLUTION_SECONDS)
        )

    @property
    def covered(self) -> bool | None:
        return None if self.low is None or self.high is None else self.low <= self.truth <= self.high


def load_traces() -> list[Trace]:
    """All recorded traces, by shape."""
    found: list[Trace] = []
    for path in sorted(TRACES.glob("*.json.gz")):
        data = json.loads(gzip.decompress(path.read_bytes()))
        events = [(at, EventKind[kind], payload) for at, kind, payload in data["events"]]
        found.append(Trace(data["name"], data["shape"], data["kind"], events))
    return sorted(found, key=lambda trace: SHAPES.index(trace.shape))


def replay(trace: Trace, peer: Peer, typical: Typicals) -> list[Moment]:
    """Feed a peer the events in time, asking it at evenly spaced moments."""
    moments: list[Moment] = []
    events = snapshots(trace, typical)
    following = next(events, None)
    for number in range(1, MOMENTS):
        at = trace.seconds * number / MOMENTS
        while following and following[0] <= at:
            peer.take(*following)
            following = next(events, None)
        moments.append(Moment(number / MOMENTS, trace.seconds - at, *peer.left(at)))
    while following:
        peer.take(*following)
        following = next(events, None)
    return moments


def snapshots(trace: Trace, typical: Typicals) -> Iterator[tuple[float, Snapshot]]:
    """The job's progress after each event, its phases weighted by what was learned before."""
    snapshot = Snapshot()
    for at, kind, data in trace.events:
        event = domain_event(kind, at, data)
        if isinstance(event, PlanSet):
            event = PlanSet(at, eta.learned_weights(event.phases, typical))
        if event is not None:
            snapshot = apply(snapshot, event)
            yield at, snapshot


def history_of(traces: Sequence[Trace]) -> dict[str, Mapping[str, eta.PhaseRun]]:
    """What a table would keep of each trace once it was finished: how its phases went."""
    kept: dict[str, Mapping[str, eta.PhaseRun]] = {}
    for trace in traces:
        ours = Ours({})
        replay(trace, ours, {})
        kept[trace.name] = ours.runs()
    return kept


def earlier(trace: Trace, traces: Sequence[Trace]) -> list[str]:
    """The jobs that may forecast one: of its kind, from a machine as crowded, and never itself."""
    alike = (other for other in traces if (other.kind, other.crowded) == (trace.kind, trace.crowded))
    return [other.name for other in alike if other.name != trace.name]


@dataclass(frozen=True)
class Result:
    """What every peer said of one trace."""

    trace: Trace
    moments: Mapping[str, Sequence[Moment]]
    costs: Sequence[float]

    def score(self, peer: str) -> Score:
        """One peer on this trace."""
        return score([self], peer)


def run(traces: Sequence[Trace]) -> list[Result]:
    """Replay every trace through every peer; its own history is left out of what forecasts it."""
    history = history_of(traces)
    results: list[Result] = []
    for trace in traces:
        others = [history[name] for name in earlier(trace, traces)]
        typical = eta.typical_of(others)
        ours = Ours(typical)
        said = {"Headway": replay(trace, ours, typical), ALONE: replay(trace, Ours({}), {})}
        said |= {name: replay(trace, peer(), typical) for name, peer in PEERS.items()}
        said[TOLD] = replay(trace, Told(history[trace.name]), typical)
        results.append(Result(trace, said, ours.costs))
    return results


@dataclass(frozen=True)
class Score:
    """Shares of moments, the median error, the band's coverage, and the largest jump of the end to later."""

    shown: float
    within_10_from_10: float
    within_20_from_10: float
    within_10_from_20: float
    within_20_from_20: float
    median_error: float
    covered: float | None
    jump: float


def score(results: Sequence[Result], peer: str) -> Score:
    """One peer over some traces; all moments count alike."""
    every = [moment for result in results for moment in result.moments[peer]]
    late, later = ([m for m in every if m.share >= share] for share in (0.1, 0.2))
    covered = [moment.covered for moment in later if moment.covered is not None]
    return Score(
        shown=share_of(moment.guess is not None for moment in late),
        within_10_from_10=share_of(moment.within(0.1) for moment in late),
        within_20_from_10=share_of(moment.within(0.2) for moment in late),
        within_10_from_20=share_of(moment.within(0.1) for moment in later),
        within_20_from_20=share_of(moment.within(0.2) for moment in later),
        median_error=statistics.median(moment.error for moment in later),
        covered=share_of(covered) if covered else None,
        jump=max(largest_jump(result, peer) for result in results),
    )


def share_of(flags: Any) -> float:
    values = list(flags)
    return sum(values) / len(values)


def largest_jump(result: Result, peer: str) -> float:
    """How far the end it promises went back at once, as a share of the duration."""
    ends = [
        moment.guess - moment.truth
        for moment in result.moments[peer]
        if moment.guess is not None and moment.share >= 0.1
    ]
    return max((after - before for before, after in pairwise(ends)), default=0) / result.trace.seconds


def main(*arguments: str) -> None:
    """Print the table."""
    results = run(load_traces())
    scores = {
        shape: {peer: score(chosen, peer) for peer in results[0].moments}
        for shape in (*SHAPES, "all")
        if (chosen := [result for result in results if shape in (result.trace.shape, "all")])
    }
    costs = sorted(cost for result in results for cost in result.costs)
    write_report(results, scores, costs, HERE.parents[1] / "docs" / "architecture" if "--write" in arguments else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
