"""What every kind must keep, whoever wrote it: each runs its own example in an empty folder with no service at all."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headway.domain.progress import AttemptEnded, Snapshot, apply
from headway.errors import InvalidInputError
from headway.jobs import kinds
from headway.jobs.kind import Kind
from headway.jobs.registry import all_kinds, get_kind
from headway.services.feed import domain_event
from headway.spool.reader import SpoolReader
from tests.kind_runs import Example, Ran, run_kind

OWN = Path(kinds.__path__[0])
KINDS = [pytest.param(kind, id=name) for name, kind in all_kinds().items() if (OWN / name.replace(".", "_")).is_dir()]
HEAVY = ("torch", "transformers", "numpy", "safetensors", "huggingface_hub", "numba", "optuna", "pyarrow")

every_kind = pytest.mark.parametrize("kind", KINDS)


def example_of(kind: Kind, folder: Path) -> Example:
    """The example that the kind's own tests give."""
    package = kind.name.replace(".", "_")
    folder.mkdir()
    return importlib.import_module(f"headway.jobs.kinds.{package}.test_{package}").example(folder)


def run_example(kind: Kind, folder: Path, **more: Any) -> Ran:
    """Run the kind's example."""
    example = example_of(kind, folder / "example")
    return run_kind(folder / "job", kind.name, example.config, inputs=example.inputs, **more)


@every_kind
def test_readme_says_what_the_kind_does(kind: Kind) -> None:
    readme = (OWN / kind.name.replace(".", "_") / "README.md").read_text()
    assert readme.startswith(f"# {kind.name}")
    assert len(readme) > 200


@every_kind
def test_every_field_of_the_config_explains_itself(kind: Kind) -> None:
    for name, schema in kind.schema["properties"].items():
        assert schema.get("title"), f"{name} has no title"
        assert schema.get("description"), f"{name} has no description"
    assert all(info.is_required() or kind.config.model_fields for info in kind.config.model_fields.values())


@every_kind
def test_defaults_are_valid_and_an_unknown_field_is_named(kind: Kind) -> None:
    # a kind whose inputs are all optional takes one of several, and by itself the first
    names = [spec.name for spec in kind.inputs if not spec.optional] or [spec.name for spec in kind.inputs][:1]
    needed = dict.fromkeys(names, "artifact:aaaaaaaaaaaa")
    assert kind.checked_config(needed)
    with pytest.raises(InvalidInputError, match=r"config\.no_such_field"):
        kind.checked_config(needed | {"no_such_field": 1})


@every_kind
def test_number_out_of_bounds_is_refused_by_name(kind: Kind) -> None:
    bounded = [n for n, s in kind.schema["properties"].items() if "minimum" in s or "exclusiveMinimum" in s]
    for name in bounded:
        with pytest.raises(InvalidInputError, match=rf"config\.{name}"):
            kind.checked_config({name: -(10**12)})


@every_kind
def test_example_completes_and_is_100_percent_only_at_the_end(kind: Kind, tmp_path: Path) -> None:
    ran = run_example(kind, tmp_path)
    assert ran.result["outcome"] == "completed", ran.result
    assert set(ran.artifacts) == {output.name for output in kind.outputs}
    snapshot, percents = Snapshot(), []
    reader = SpoolReader(ran.folder / "spool")
    while (batch := reader.read()).records:
        for event in batch.events:
            change = domain_event(event.kind, event.at, event.data)
            snapshot = apply(snapshot, change) if change else snapshot
            percents.append(snapshot.percent_bp)
    assert percents == sorted(percents)
    assert percents[-1] < 10_000
    assert snapshot.phase == kind.phases[-1].name
    assert apply(snapshot, AttemptEnded(0.0, completed=True)).percent_bp == 10_000


@every_kind
def test_cancel_is_respected_and_declares_nothing(kind: Kind, tmp_path: Path) -> None:
    ran = run_example(kind, tmp_path, prepare=lambda control: control.cancel())
    assert ran.result["outcome"] == "cancelled"
    assert ran.artifacts == {}


@pytest.mark.parametrize("kind", [param for param in KINDS if param.values[0].checkpoints])
def test_paused_example_goes_on_to_the_same_end(kind: Kind, tmp_path: Path) -> None:
    whole = run_example(kind, tmp_path)
    paused = run_kind(
        tmp_path / "paused", kind.name, **arguments(kind, tmp_path / "a"), prepare=lambda control: control.pause()
    )
    assert paused.result["outcome"] == "paused"
    left = sorted((tmp_path / "paused" / "checkpoints").glob("step-*"), reverse=True)
    again = run_kind(
        tmp_path / "again", kind.name, **arguments(kind, tmp_path / "b"), attempt=2, resume_from=left,
        outputs=tmp_path / "paused" / "out",
    )  # fmt: skip
    assert again.result["outcome"] == "completed"
    both = {name: paused.metrics.get(name, {}) | points for name, points in again.metrics.items()}
    timed = {name for name in whole.metrics if name.endswith("_per_s")}
    assert {n: p for n, p in both.items() if n not in timed} == {
        n: p for n, p in whole.metrics.items() if n not in timed
    }


def arguments(kind: Kind, folder: Path) -> dict[str, Any]:
    """The example's config and inputs as `run_kind` takes them."""
    example = example_of(kind, folder)
    return {"config": example.config, "inputs": example.inputs}


def test_listing_kinds_loads_nothing_heavy() -> None:
    code = (
        "import sys, json; from headway.services.read_kinds import list_kinds; "
        f"list_kinds(); print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == []


def test_unknown_kind_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidInputError, match=r"there is no kind 'no\.such'; there are: .*probe\.work"):
        get_kind("no.such")
