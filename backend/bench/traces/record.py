"""Records the traces that `bench/eta.py` replays: runs real jobs and keeps what their spool tells a supervisor.

`python backend/bench/traces/record.py [name ...]` (all by default; about half an hour). A trace is the job's events
with their times from its start, as gzipped JSON; the metrics are left out, the counters come ten times a second.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from scenarios import SCENARIOS, compute

from headway.domain.plan import PhaseSpec
from headway.errors import JobStopped
from headway.jobs.checkpoints import newest_valid
from headway.jobs.context import JobContext
from headway.jobs.order import JobOrder
from headway.jobs.reporter import Reporter
from headway.spool.control import Control
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from tests.kind_runs import run_kind

KEPT = {EventKind.PLAN, EventKind.PHASE_STARTED, EventKind.PHASE_FINISHED, EventKind.COUNTERS, EventKind.RESULT}


@dataclass(frozen=True)
class Recording:
    """One job to record; with `paused_after` seconds its second attempt, which goes on from where the first stopped."""

    shape: str
    kind: str
    config: dict[str, Any]
    paused_after: float | None = None
    inputs: dict[str, str] = field(default_factory=dict[str, str])


CHANGING = [(3, 0.3, 0.2), (8, 1.6, 0.6), (4, 0.5, 0.3), (12, 1.5, 0.6), (3, 0.4, 0.3), (1, 1.4, 0.6)]


def _recordings() -> dict[str, Recording]:
    made: dict[str, Recording] = {}

    def add(shape: str, kind: str, *configs: dict[str, Any], inputs: dict[str, str] | None = None) -> None:
        for number, config in enumerate(configs, 1):
            paused = config.pop("paused_after", None)
            name = f"{shape}-{kind.removeprefix('bench.').replace('.', '-')}-{number}"
            made[name] = Recording(shape, kind, config, paused, inputs or {})

    def trained(steps: int, load: float, step: float = 0.04, **more: Any) -> dict[str, Any]:
        return {"steps": steps, "load": load, "step": step, **more}

    def probe(steps: int, step_seconds: float, **more: Any) -> dict[str, Any]:
        return {"steps": steps, "step_seconds": step_seconds, "inner": 5, **more}

    def each(*names: str) -> Callable[..., list[dict[str, Any]]]:
        return lambda *rows: [dict(zip(names, row, strict=True)) for row in rows]

    add("steady", "bench.train", trained(600, 1.5), trained(1100, 1.5, step=0.025), trained(350, 2.0, step=0.09))
    caches = each("steps", "pool", "touch", "step", "seed")
    add(
        "slow-start",
        "bench.cached",
        *caches((500, 700, 0.02, 0.03, 1), (700, 900, 0.015, 0.02, 2), (600, 500, 0.03, 0.03, 3)),
        *caches((550, 700, 0.02, 0.03, 4), (600, 800, 0.018, 0.025, 5)),
    )
    epochs = each("files", "epochs", "nodes_a_second", "step", "seed")
    files = ((100, 5, 40_000, 0.03, 4), (150, 4, 60_000, 0.03, 5), (90, 6, 30_000, 0.03, 6))
    more_files = ((110, 5, 40_000, 0.03, 7), (120, 4, 45_000, 0.03, 8))
    add("slow-start", "bench.epochs", *epochs(*files, *more_files))
    evaluated = each("steps", "every", "step", "evaluation")
    evaluations = ((500, 50, 0.045, 1.2), (450, 75, 0.05, 2.5), (800, 50, 0.03, 0.7))
    add("periodic", "bench.evaluated", *evaluated(*evaluations))
    turns = each("rounds", "steps", "batches", "step", "batch")
    rounds = ((8, 60, 15, 0.05, 0.06), (5, 110, 30, 0.045, 0.05), (12, 50, 8, 0.04, 0.08))
    add("periodic", "bench.turns", *turns(*rounds))
    nested = each("steps", "every", "batches", "step", "batch")
    inner = ((500, 80, 20, 0.05, 0.07), (600, 75, 16, 0.04, 0.06), (450, 50, 10, 0.05, 0.07))
    add("periodic", "bench.nested", *nested(*inner))
    lengths = each("batches", "longest", "seed")((500, 0.18, 1), (700, 0.12, 2), (300, 0.3, 3))
    add("uneven", "bench.lengths", *lengths)
    add("uneven", "bench.search", *each("trials", "iteration", "seed")((60, 0.035, 1), (90, 0.025, 2), (45, 0.045, 3)))
    documents = each("files", "bytes_a_second", "seed")((350, 40_000, 4), (500, 60_000, 5), (280, 35_000, 6))
    add("uneven", "bench.documents", *documents)
    tokens = {"tokens": "tokens", "model": "model"}
    add("crowded", "activations.extract", {"layers": [2]}, {"layers": [1]}, inputs=tokens)
    rows = {"eval_rows": 4096, "expansion": 4, "batch_rows": 2048}
    add("crowded", "sae.train", *({**rows, "epochs": n} for n in (4, 6)), inputs={"activations": "activations"})
    crowd = {"crowded": True}
    add("crowded", "bench.train", *(trained(s, 1.5, **crowd) for s in (600, 900, 350)))
    add("crowded", "bench.evaluated", *(config | crowd for config in evaluated(*evaluations)))
    add("crowded", "bench.turns", *(config | crowd for config in turns(*rounds)))
    add("crowded", "bench.epochs", *(config | crowd for config in epochs(*files)))
    mb = 1_000_000
    add(
        "download", "bench.download",
        {"sizes": [9 * mb, 30 * mb, 2 * mb], "speeds": [(1, 1.0, 0.3)]},
        {"sizes": [50 * mb], "speeds": [(5, 3.2, 0.2), (1, 0.9, 0.2)]},
        {"sizes": [4 * mb] * 12, "speeds": CHANGING},
        {"sizes": [25 * mb, 25 * mb], "speeds": [(15, 1.2, 0.5), (1, 0.9, 0.5)]},
    )  # fmt: skip
    add(
        "crowded",
        "probe.work",
        *(
            probe(s, t, checkpoint_every=20, paused_after=p)
            for s, t, p in ((450, 0.1, 18), (280, 0.15, 20), (700, 0.07, 15))
        ),
    )
    add(
        "resume",
        "bench.train",
        trained(900, 1.5, paused_after=20),
        trained(700, 1.0, step=0.05, paused_after=10),
        trained(800, 1.0, step=0.045, paused_after=6),
        trained(1200, 1.0, step=0.03, paused_after=9),
    )
    return made


RECORDINGS = _recordings()
#: Config fields that say how much is computed.
COMPUTED = ("load", "step", "evaluation", "batch")
PROBE_SECONDS = 0.7


def record(name: str, wanted: Recording, inputs: dict[str, Path]) -> None:
    """Run one job and write its trace; how much it computes is scaled to what the machine has left at the time."""
    if wanted.config.get("crowded"):
        share = _share_of_processor()
        scaled = {key: value * share for key, value in wanted.config.items() if key in COMPUTED}
        wanted = replace(wanted, config=wanted.config | {key: round(value, 4) for key, value in scaled.items()})
    with tempfile.TemporaryDirectory() as folder:
        spool = (_run_scenario if wanted.kind in SCENARIOS else _run_kind)(Path(folder), wanted, inputs)
        events = _events(spool)
    began = events[0][0]
    events = [(round(at - began, 3), kind, data) for at, kind, data in events]
    trace = {"name": name, "shape": wanted.shape, "kind": wanted.kind, "config": wanted.config, "events": events}
    packed = gzip.compress(json.dumps(trace, separators=(",", ":")).encode(), mtime=0)
    (HERE / f"{name}.json.gz").write_bytes(packed)
    print(f"{name:<36} {events[-1][0]:6.1f} s  {events[-1][2]['outcome']:<10} {len(packed) / 1000:.1f} kB", flush=True)


def _share_of_processor() -> float:
    """Processor time a second that a thread gets now."""
    began = time.perf_counter()
    compute(PROBE_SECONDS, {"crowded": True})
    return min(1.0, PROBE_SECONDS / (time.perf_counter() - began))


def _events(spool: Path) -> list[tuple[float, str, dict[str, Any]]]:
    reader, events = SpoolReader(spool), []
    while (batch := reader.read()).records:
        events += [(event.at, event.kind.name, event.data) for event in batch.events if event.kind in KEPT]
    return events


def _run_kind(folder: Path, wanted: Recording, inputs: dict[str, Path]) -> Path:
    places = {field: inputs[name] for field, name in wanted.inputs.items()}
    resume: list[Path] = []
    if wanted.paused_after is not None:
        run_kind(folder / "1", wanted.kind, wanted.config, prepare=lambda flags: _pause(flags, wanted.paused_after))
        resume = sorted((folder / "1" / "checkpoints").glob("step-*"), reverse=True)
    run_kind(
        folder / "2",
        wanted.kind,
        wanted.config,
        inputs=places,
        attempt=2 if resume else 1,
        resume_from=resume,
        threads=1,
    )
    return folder / "2" / "spool"


def _pause(flags: Control, after: float | None) -> None:
    timer = threading.Timer(after or 0, flags.pause)
    timer.daemon = True
    timer.start()


def _run_scenario(folder: Path, wanted: Recording, inputs: dict[str, Path]) -> Path:
    scenario = SCENARIOS[wanted.kind]
    resume: list[str] = []
    attempts = 1 if wanted.paused_after is None else 2
    for attempt in range(1, attempts + 1):
        place = folder / str(attempt)
        place.mkdir()
        order = JobOrder(job_id="t" * 12, attempt=attempt, kind=wanted.kind, config=wanted.config,
                         phases=list(scenario.phases), resume_from=resume)  # fmt: skip
        control = Control.create(place / "control")
        if attempt < attempts:
            _pause(control, wanted.paused_after)
        reporter = Reporter(SpoolWriter(place / "spool"))
        reporter.event(EventKind.PLAN, {"phases": [_planned(phase) for phase in scenario.phases]})
        outcome = "completed"
        try:
            context = JobContext(place, order, reporter, control, newest_valid(map(Path, resume)))
            scenario.run(context, wanted.config)
        except JobStopped as stop:
            outcome = str(stop)
        reporter.event(EventKind.RESULT, {"outcome": outcome})
        reporter.close()
        resume = [str(path) for path in sorted((place / "checkpoints").glob("step-*"), reverse=True)]
    return folder / str(attempts) / "spool"


def _planned(phase: PhaseSpec) -> dict[str, Any]:
    return {"name": phase.name, "title": phase.title, "weight": phase.weight, "optional": phase.optional}


def _studio_inputs(folder: Path) -> dict[str, Path]:
    """What the studio's kinds are recorded on, made by themselves."""
    model = run_kind(folder / "m", "model.download", {}).outputs["model"]
    text = run_kind(folder / "d", "dataset.download", {"source": "package:python-docs"}).outputs["dataset"]
    made = run_kind(folder / "t", "dataset.tokenize", {"max_tokens": 60_000}, inputs={"dataset": text, "model": model})
    tokens = made.outputs["tokens"]
    ran = run_kind(folder / "a", "activations.extract", {"layers": [2]}, inputs={"tokens": tokens, "model": model})
    return {"model": model, "text": text, "tokens": tokens, "activations": ran.outputs["activations"]}


def main(*names: str) -> None:
    """Record what is named."""
    wanted = {name: RECORDINGS[name] for name in names or RECORDINGS}
    with tempfile.TemporaryDirectory() as folder:
        inputs = _studio_inputs(Path(folder)) if any(each.inputs for each in wanted.values()) else {}
        for name, recording in wanted.items():
            record(name, recording, inputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
