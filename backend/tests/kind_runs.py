"""Runs a kind as its job process does: a folder with an order in, the records of its spool out; no service at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.jobs.order import InputPlace, JobOrder
from headway.jobs.process import run_in_folder
from headway.jobs.registry import get_kind
from headway.spool.control import Control
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind

QUOTA_BYTES = 64 << 20


@dataclass(frozen=True)
class Example:
    """A small but whole run of a kind; each kind's tests give one as `example(folder)` for the tests of all kinds."""

    config: Mapping[str, Any]
    inputs: Mapping[str, Path] = field(default_factory=dict)


@dataclass
class Ran:
    """What a run left: its RESULT payload, events in order, metric points by name, and its folders."""

    result: dict[str, Any]
    folder: Path
    outputs: dict[str, Path]
    events: list[tuple[EventKind, dict[str, Any]]] = field(default_factory=list)
    metrics: dict[str, dict[int, float]] = field(default_factory=dict)

    def of(self, kind: EventKind) -> list[dict[str, Any]]:
        """The payloads of one kind of event."""
        return [data for event, data in self.events if event is kind]

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """The meta of each artifact declared, by output."""
        return {data["output"]: data["meta"] for data in self.of(EventKind.ARTIFACT)}

    @property
    def phases(self) -> list[str]:
        """The phases finished and not skipped, in order."""
        return [data["name"] for data in self.of(EventKind.PHASE_FINISHED) if not data.get("skipped")]


def run_kind(
    folder: Path,
    name: str,
    config: Mapping[str, Any],
    *,
    inputs: Mapping[str, Path] | None = None,
    metas: Mapping[str, dict[str, Any]] | None = None,
    outputs: Path | None = None,
    attempt: int = 1,
    resume_from: list[Path] | None = None,
    prepare: Callable[[Control], None] | None = None,
    threads: int = 2,
) -> Ran:
    """Run one attempt in `folder` (made), its outputs under `outputs` (`folder`/out). `prepare` may set flags first."""
    places = order_kind(
        folder,
        name,
        config,
        inputs=inputs,
        metas=metas,
        outputs=outputs,
        attempt=attempt,
        resume_from=resume_from,
        threads=threads,
    )
    if prepare:
        prepare(Control.open(folder / "control"))
    return read_back(Ran(run_in_folder(folder), folder, places))


def order_kind(
    folder: Path,
    name: str,
    config: Mapping[str, Any],
    *,
    inputs: Mapping[str, Path] | None = None,
    metas: Mapping[str, dict[str, Any]] | None = None,
    outputs: Path | None = None,
    attempt: int = 1,
    resume_from: list[Path] | None = None,
    threads: int = 2,
) -> dict[str, Path]:
    """Order one attempt in `folder` (made), for whoever runs it; answers where its outputs will lie."""
    kind = get_kind(name)
    folder.mkdir(parents=True)
    places = {output.name: (outputs or folder / "out") / output.name for output in kind.outputs}
    references = {field: f"artifact:{field[:1] * 12}" for field in inputs or {}}
    found = {
        field: InputPlace(artifact_id=references[field][9:], type="", path=str(path), meta=(metas or {}).get(field, {}))
        for field, path in (inputs or {}).items()
    }
    order = JobOrder(
        job_id="t" * 12,
        attempt=attempt,
        kind=name,
        config=dict(config) | references,
        phases=list(kind.phases),
        threads=threads,
        inputs=found,
        outputs={output: str(path) for output, path in places.items()},
        resume_from=[str(path) for path in resume_from or []],
        spool_quota_bytes=QUOTA_BYTES,
    )
    order.write(folder)
    Control.create(folder / "control")
    return places


def read_back(ran: Ran) -> Ran:
    """Add what stands in the spool of the folder."""
    reader = SpoolReader(ran.folder / "spool")
    while (batch := reader.read()).records:
        ran.events += [(event.kind, event.data) for event in batch.events]
        for rows in batch.metrics:
            width = len(rows.names)
            for index, step in enumerate(rows.steps):
                for column, metric in enumerate(rows.names):
                    ran.metrics.setdefault(metric, {})[step] = rows.values[index * width + column]
    return ran
