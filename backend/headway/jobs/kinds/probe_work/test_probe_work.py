"""The probe does what it is told, and its walk can only be carried on by a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.spool.records import EventKind
from tests.kind_runs import Example, run_kind

QUICK = {"steps": 20, "step_seconds": 0.0, "inner": 2, "checkpoint_every": 5}


def example(folder: Path) -> Example:
    """A probe of a blink."""
    return Example(QUICK)


def test_each_step_is_counted_and_logged(tmp_path: Path) -> None:
    ran = run_kind(tmp_path / "job", "probe.work", QUICK | {"metrics": 3})
    assert ran.result["outcome"] == "completed"
    assert sorted(ran.metrics) == ["m0", "m1", "m2"]
    assert sorted(ran.metrics["m0"]) == list(range(1, 21))
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [5, 10, 15, 20]


def test_resumed_walk_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole = run_kind(tmp_path / "whole", "probe.work", QUICK)
    fail = {"fail_at": {"step": 13, "how": "exception"}}
    run_kind(tmp_path / "first", "probe.work", QUICK | fail)
    checkpoint = tmp_path / "first" / "checkpoints" / "step-000000000010"
    second = run_kind(tmp_path / "second", "probe.work", QUICK | fail, attempt=2, resume_from=[checkpoint])
    assert sorted(second.metrics["m0"]) == list(range(11, 21))
    assert all(whole.metrics["m0"][step] == value for step, value in second.metrics["m0"].items())


@pytest.mark.parametrize(("how", "error_type"), [("exception", "RuntimeError"), ("oom", "MemoryError")])
def test_failure_on_request_keeps_what_was_logged(tmp_path: Path, how: str, error_type: str) -> None:
    ran = run_kind(tmp_path / "job", "probe.work", QUICK | {"fail_at": {"step": 7, "how": how}})
    assert ran.result["outcome"] == "failed"
    assert ran.result["error"]["type"] == error_type
    assert sorted(ran.metrics["m0"]) == list(range(1, 8))
