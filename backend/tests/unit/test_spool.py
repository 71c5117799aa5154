"""The spool as a round trip: what a writer logged, a reader gives back, from any offset, over any segments."""

from __future__ import annotations

import math
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import SpoolError
from headway.spool.reader import Batch, Event, SpoolReader
from headway.spool.records import HEADER, MAGIC, EventKind
from headway.spool.segments import segment_bases, segment_path
from headway.spool.writer import SpoolWriter

PAGE = 4096
Row = tuple[int, tuple[tuple[str, float], ...]]


def rows_of(batch: Batch) -> list[Row]:
    """Every metrics record of a batch as (step, ((name, value), ...))."""
    found: list[Row] = []
    for rows in batch.metrics:
        width = len(rows.names)
        assert len(rows.steps) == len(rows.times) == len(rows.values) / width
        for index, step in enumerate(rows.steps):
            found.append((step, tuple(zip(rows.names, rows.values[index * width : (index + 1) * width], strict=True))))
    return found


def drain(reader: SpoolReader, max_bytes: int = 1 << 20) -> tuple[list[Row], list[Event], list[int]]:
    """All records there are, and the offsets at which batches ended."""
    rows: list[Row] = []
    events: list[Event] = []
    offsets: list[int] = []
    while True:
        batch = reader.read(max_bytes)
        if not batch.records:
            return rows, events, offsets
        rows += rows_of(batch)
        events += batch.events
        offsets.append(batch.end_offset)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


names = st.text("abcXYZ019_./@:-", min_size=1, max_size=12)
calls = st.one_of(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1), st.dictionaries(names, st.floats(allow_nan=False), min_size=1, max_size=6)
    ),
    st.tuples(
        st.sampled_from(EventKind),
        st.dictionaries(st.text(max_size=5), st.text(max_size=40) | st.integers(), max_size=4),
    ),
)


def play(
    writer: SpoolWriter, script: list[tuple[Any, dict[str, Any]]]
) -> tuple[list[Row], list[tuple[EventKind, Any]]]:
    """Log a script; gives what must come back."""
    rows: list[Row] = []
    events: list[tuple[EventKind, Any]] = []
    for what, data in script:
        if isinstance(what, EventKind):
            writer.event(what, data)
            events.append((what, data))
        else:
            writer.log(what, **data)
            rows.append((what, tuple(data.items())))
    return rows, events


@settings(max_examples=60, deadline=None)
@given(script=st.lists(calls, max_size=60), repeat=st.integers(1, 12), max_bytes=st.integers(1, 6000))
def test_what_was_logged_comes_back_and_reading_resumes_at_every_offset(
    tmp_path_factory: pytest.TempPathFactory, script: list[Any], repeat: int, max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=64 << 20)
    rows, events = play(writer, script * repeat)
    writer.close()
    found, found_events, offsets = drain(SpoolReader(folder), max_bytes)
    assert sorted(found) == sorted(rows)
    assert [(event.kind, event.data) for event in found_events] == events
    counts = _records_before(folder, offsets, max_bytes)
    for offset, count in zip(offsets[:40], counts[:40], strict=True):
        rest, rest_events, _ = drain(SpoolReader(folder, offset))
        assert len(rest) + len(rest_events) == len(rows) + len(events) - count


def _records_before(folder: Path, offsets: list[int], max_bytes: int) -> list[int]:
    reader, total, counts = SpoolReader(folder), 0, []
    for offset in offsets:
        batch = reader.read(max_bytes)
        assert batch.end_offset == offset
        total += batch.records
        counts.append(total)
    return counts


def test_rows_of_one_set_of_names_are_grouped_and_keep_their_order(folder: Path) -> None:
    writer = SpoolWriter(folder)
    for step in range(100):
        writer.log(step, **{"train/loss": step / 2, "lr": 0.1})
        if step % 10 == 0:
            writer.log(step, **{"rewards/margins": -step})
    train, rewards = SpoolReader(folder).read().metrics
    assert (train.names, train.steps) == (("train/loss", "lr"), list(range(100)))
    assert train.values[:4] == [0.0, 0.1, 0.5, 0.1]
    assert train.times == sorted(train.times)
    assert (rewards.names, rewards.steps) == (("rewards/margins",), list(range(0, 100, 10)))
    writer.close()


def test_values_that_are_not_finite_and_numbers_of_other_libraries_are_kept(folder: Path) -> None:
    writer = SpoolWriter(folder)
    writer.log(np.int64(7), a=math.nan, b=-math.inf, c=np.float32(1.5), d=torch.tensor(2.5), e=3)  # type: ignore[arg-type]
    rows = SpoolReader(folder).read().metrics[0]
    assert math.isnan(rows.values[0])
    assert (rows.steps, rows.values[1:]) == ([7], [-math.inf, 1.5, 2.5, 3.0])
    writer.close()


@pytest.mark.parametrize("bad", [None, "0.5", [1.0], torch.zeros(2), 10**400, object()])
def test_a_metric_that_is_no_number_is_refused_by_name_and_leaves_no_trace(folder: Path, bad: Any) -> None:
    writer = SpoolWriter(folder)
    writer.log(1, loss=1.0, acc=0.5)
    with pytest.raises(TypeError, match="'acc' is"):
        writer.log(2, loss=2.0, acc=bad)
    writer.log(3, loss=3.0)
    assert rows_of(SpoolReader(folder).read()) == [(1, (("loss", 1.0), ("acc", 0.5))), (3, (("loss", 3.0),))]
    writer.close()


@pytest.mark.parametrize("step", [1.5, "1", None, 2**63])
def test_a_step_that_is_no_integer_is_refused(folder: Path, step: Any) -> None:
    writer = SpoolWriter(folder)
    with pytest.raises(TypeError, match="step is"):
        writer.log(step, loss=1.0)
    assert SpoolReader(folder).read().records == 0
    writer.close()


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 121, "a\n", "loss%"])
def test_a_bad_name_is_refused(folder: Path, name: str) -> None:
    writer = SpoolWriter(folder)
    with pytest.raises(ValueError, match="metric name"):
        writer.log(1, **{name: 1.0})
    writer.close()


def test_the_number_of_names_and_of_layouts_is_bounded(folder: Path) -> None:
    writer = SpoolWriter(folder)
    with pytest.raises(ValueError, match="64"):
        writer.log(1, **{f"m{number}": 1.0 for number in range(65)})
    with pytest.raises(ValueError, match="0 metrics"):
        writer.log(1)
    for number in range(256):
        writer.log(1, **{f"m{number}": 1.0})
    with pytest.raises(ValueError, match="256"):
        writer.log(1, one_more=1.0)
    assert SpoolReader(folder).read().records == 256
    writer.close()


def test_an_event_too_large_or_not_json_is_refused(folder: Path) -> None:
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=16 * PAGE)
    with pytest.raises(ValueError, match="shorten"):
        writer.event(EventKind.SAID, {"message": "x" * 600})
    with pytest.raises(TypeError, match="JSON"):
        writer.event(EventKind.SAID, {"message": object()})
    writer.close()


def test_one_attempt_has_one_writer(folder: Path) -> None:
    writer = SpoolWriter(folder)
    with pytest.raises(SpoolError, match="fresh folder"):
        SpoolWriter(folder)
    writer.close()
    with pytest.raises(SpoolError, match="fresh folder"):
        SpoolWriter(folder)


def test_a_closed_writer_refuses_and_leaves_no_unused_segment(folder: Path) -> None:
    writer = SpoolWriter(folder)
    writer.log(1, loss=1.0)
    writer.housekeep()
    assert len(segment_bases(folder)) == 2
    writer.close()
    writer.close()
    writer.housekeep()
    assert segment_bases(folder) == [0]
    for call in (lambda: writer.log(2, loss=1.0), lambda: writer.event(EventKind.SAID, {"message": "late"})):
        with pytest.raises(SpoolError, match="closed"):
            call()


def test_a_reader_of_a_folder_that_is_not_there_waits(folder: Path) -> None:
    reader = SpoolReader(folder)
    assert reader.read() == Batch([], [], 0, False, 0)
    writer = SpoolWriter(folder)
    writer.log(1, loss=1.0)
    assert reader.read().records == 1
    assert reader.read().records == 0
    writer.close()


@pytest.mark.parametrize(
    ("header", "words"),
    [(b"PK\x03\x04" + bytes(60), "not a spool"), (HEADER.pack(b"HWSPOOL1", 9, 0, 1, PAGE), "version 9")],
)
def test_a_foreign_file_or_version_is_refused_with_the_mend(folder: Path, header: bytes, words: str) -> None:
    folder.mkdir()
    segment_path(folder, 0).write_bytes(header + bytes(PAGE - len(header)))
    with pytest.raises(SpoolError, match=words):
        SpoolReader(folder).read()


def test_a_segment_not_begun_yet_is_empty(folder: Path) -> None:
    folder.mkdir()
    for content in (b"", bytes(10), bytes(PAGE), bytes(8) + HEADER.pack(MAGIC, 1, 0, 1, PAGE)[8:]):
        segment_path(folder, 0).write_bytes(content)
        assert SpoolReader(folder).read() == Batch([], [], 0, False, 0)


def test_a_torn_last_record_is_recognised_and_not_decoded(folder: Path) -> None:
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=16 * PAGE)
    for step in range(10):
        writer.log(step, loss=1.0, acc=0.5)
    writer.close()
    end = SpoolReader(folder).read().end_offset
    path = segment_path(folder, 0)
    whole = path.read_bytes()
    for kept in range(end - 8, end):  # the last bytes never came: zeros, or the file ends
        for torn in (whole[:kept] + bytes(PAGE - kept), whole[:kept]):
            path.write_bytes(torn)
            batch = SpoolReader(folder).read()
            lost = kept < end - 7  # the number 11 is one byte long: less than that is missing, and nothing is missing
            if len(torn) < PAGE or lost:
                assert (batch.torn, batch.records) == (True, 9)
    path.write_bytes(whole)
    assert SpoolReader(folder).read().torn is False


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(64, 700), garbage=st.binary(max_size=64))
def test_a_spool_cut_anywhere_gives_a_prefix_of_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=16 * PAGE)
    logged, _ = play(writer, [(step, {"a": step * 1.5, "b": 2.0}) for step in range(12)])
    writer.close()
    path = segment_path(folder, 0)
    path.write_bytes((path.read_bytes()[:cut] + garbage).ljust(PAGE, b"\0"))
    found = rows_of(SpoolReader(folder).read())
    assert found == logged[: len(found)]


def test_drained_segments_are_removed_and_never_the_one_being_written(folder: Path) -> None:
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=64 * PAGE)
    reader = SpoolReader(folder)
    total = most = 0
    for step in range(5000):
        writer.log(step, a=1.0, b=2.0, c=3.0)
        if step % 100 == 0:
            batch = reader.read()
            total += batch.records
            reader.discard_through(batch.end_offset)
            writer.housekeep()
            most = max(most, len(segment_bases(folder)))
    batch = reader.read()
    reader.discard_through(batch.end_offset)
    assert total + batch.records == 5000
    assert most <= 5
    assert 1 <= len(segment_bases(folder)) <= 2
    assert writer.dropped == 0
    writer.log(5000, a=1.0, b=2.0, c=3.0)
    assert reader.read().records == 1
    writer.close()


def test_an_offset_that_was_discarded_or_never_given_is_refused(folder: Path) -> None:
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=64 * PAGE)
    for step in range(500):
        writer.log(step, a=1.0)
    reader = SpoolReader(folder)
    end = reader.read().end_offset
    with pytest.raises(SpoolError, match="no record at byte"):
        SpoolReader(folder, 72).read()
    reader.discard_through(end)
    with pytest.raises(SpoolError, match="discarded"):
        SpoolReader(folder, 0).read()
    writer.close()


def test_offsets_beyond_32_bits_work(folder: Path) -> None:
    base = (1 << 33) + 4 * PAGE
    writer = SpoolWriter(folder, segment_bytes=PAGE, quota_bytes=16 * PAGE)
    writer.log(1, loss=1.0)
    writer.close()
    first = segment_path(folder, 0)
    data = bytearray(first.read_bytes())
    struct.pack_into("Q", data, 16, base)
    segment_path(folder, base).write_bytes(data)
    first.unlink()
    batch = SpoolReader(folder, base).read()
    assert batch.records == 1
    assert batch.end_offset > base
    assert SpoolReader(folder, batch.end_offset).read().records == 0


def test_every_record_of_every_thread_is_kept(folder: Path) -> None:
    writer = SpoolWriter(folder, segment_bytes=64 * PAGE, quota_bytes=64 << 20)
    done = threading.Event()

    def log(thread: int) -> None:
        for step in range(4000):
            writer.log(step, **{f"t{thread}": step, "both": thread})

    def keep_house() -> None:
        number = 0
        while not done.wait(0.001):
            writer.event(EventKind.SAID, {"message": str(number)})
            writer.housekeep()
            number += 1

    threads = [threading.Thread(target=log, args=(thread,)) for thread in range(3)]
    keeper = threading.Thread(target=keep_house)
    for thread in (*threads, keeper):
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    keeper.join(60)
    rows, events, _ = drain(SpoolReader(folder))
    for thread in range(3):
        mine = [step for step, values in rows if values[0][0] == f"t{thread}"]
        assert mine == list(range(4000))
    assert [event.data["message"] for event in events] == [str(number) for number in range(len(events))]
    writer.close()


def test_a_forked_child_cannot_disturb_its_parents_spool(folder: Path) -> None:
    writer = SpoolWriter(folder)
    writer.log(1, loss=1.0)
    child = os.fork()
    if child == 0:
        try:
            writer.log(2, loss=2.0)
        except SpoolError:
            writer.close()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    writer.log(3, loss=3.0)
    assert [step for step, _ in rows_of(SpoolReader(folder).read())] == [1, 3]
    writer.close()
