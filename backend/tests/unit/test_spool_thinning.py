"""What is dropped, and what is said about it, when nobody drains or no further segment can be reserved."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from headway.spool.reader import Event, SpoolReader
from headway.spool.records import EventKind
from headway.spool.segments import segment_bases
from headway.spool.thinning import rule_for
from headway.spool.writer import SpoolWriter

PAGE = 4096
QUOTA = 20 * PAGE


@pytest.mark.parametrize(
    ("used", "kept"), [(0, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.76, 10), (0.9, 10), (0.91, 0), (1.2, 0)]
)
def test_the_rule_follows_the_share_of_the_quota(used: float, kept: int) -> None:
    assert rule_for(used).keep_one_of == kept


def read_all(folder: Path, offset: int = 0) -> tuple[list[int], list[Event], int]:
    reader, steps, events = SpoolReader(folder, offset), [], []
    while True:
        batch = reader.read()
        for rows in batch.metrics:
            steps += rows.steps
        events += batch.events
        if not batch.records:
            return steps, events, batch.end_offset
        offset = batch.end_offset


def fill(writer: SpoolWriter, steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        writer.log(step, a=1.0, b=2.0, c=3.0, d=4.0)  # 64 bytes
        if step % 20 == 0:
            writer.housekeep()


def test_an_undrained_spool_is_thinned_by_the_stated_rule_and_says_so(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "spool", segment_bytes=PAGE, quota_bytes=QUOTA)
    fill(writer, 8000)
    for number in range(5):
        writer.event(EventKind.SAID, {"message": str(number)})
    steps, events, _ = read_all(tmp_path / "spool")
    gaps = [after - before for before, after in pairwise(steps)]
    assert gaps == sorted(gaps)  # each record, then 1 of 2, then 1 of 10, then none
    assert {gap for gap in gaps if gaps.count(gap) > 1} == {1, 2, 10}
    assert writer.dropped == 8000 - len(steps)
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= QUOTA
    warnings = [event.data for event in events if event.kind is EventKind.LOG]
    assert [warning["level"] for warning in warnings] == ["warning"] * 3
    for warning, words in zip(warnings, ("1/2 full", "3/4 full", "9/10 full"), strict=True):
        assert words in warning["text"]
    assert [event.data["message"] for event in events if event.kind is EventKind.SAID] == list("01234")
    writer.close()


def test_logging_resumes_fully_once_it_is_drained(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=QUOTA)
    fill(writer, 8000)
    _, _, end = read_all(folder)
    SpoolReader(folder).discard_through(end)
    writer.housekeep()
    dropped = writer.dropped
    fill(writer, 100, start=8000)
    assert writer.dropped == dropped
    steps, events, _ = read_all(folder, end)
    assert steps == list(range(8000, 8100))
    assert "every metrics record is kept" in events[0].data["text"]
    writer.close()


def test_events_beyond_the_quota_are_counted_and_never_raise(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "spool", segment_bytes=PAGE, quota_bytes=4 * PAGE)
    for number in range(1000):
        writer.event(EventKind.SAID, {"message": str(number)})
    _, events, _ = read_all(tmp_path / "spool")
    said = [event for event in events if event.kind is EventKind.SAID]
    assert len(said) + writer.dropped == 1000
    assert len(segment_bases(tmp_path / "spool")) == 4
    writer.close()


@contextmanager
def no_larger_files_than(size: int) -> Iterator[None]:
    """Every reservation of a larger file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_nothing_can_be_reserved_metrics_stop_and_events_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = SpoolWriter(folder, segment_bytes=16 * PAGE, quota_bytes=256 * PAGE)
    with no_larger_files_than(PAGE):
        fill(writer, 3000)
        for number in range(20):
            writer.event(EventKind.SAID, {"message": str(number)})
    steps, events, end = read_all(folder)
    assert steps == list(range(len(steps)))
    assert len(steps) + writer.dropped == 3000
    assert "no room for a further segment" in events[0].data["text"]
    assert len(events) == 21
    assert segment_bases(folder) == [0]
    writer.housekeep()
    fill(writer, 3000, start=3000)
    resumed, _, _ = read_all(folder, end)
    assert resumed == list(range(3000, 6000))
    writer.close()
