"""What a job prints is read line by line, and its file stays within its bounds whatever it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.workers import output
from headway.workers.output import FILE_NAME, HEAD_BYTES, LEAST_HOLE_BYTES, TAIL_BYTES, bound_output, read_output

LINE = b"x" * 1023 + b"\n"


def printed(folder: Path, size: int) -> Path:
    path = folder / FILE_NAME
    with path.open("ab") as file:
        for number in range(size // len(LINE)):
            file.write(b"%08d" % number + LINE[8:])
    return path


def read_all(folder: Path, offset: int = 0) -> tuple[list[str], int]:
    texts: list[str] = []
    while True:
        lines, after = read_output(folder, offset, ended=True)
        if after == offset:
            return texts, offset
        texts += [line["text"] for line in lines]
        offset = after


@pytest.fixture
def _holes(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_bytes(bytes(8192))
    try:
        with probe.open("r+b") as file:
            output._punch(file.fileno(), 4096, 4096)
    except OSError as error:
        pytest.skip(f"this file system makes no holes: {error}")


def test_an_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"one\ntw")
    lines, offset = read_output(tmp_path, 0)
    assert ([line["text"] for line in lines], offset) == (["one"], 4)
    assert [line["text"] for line in read_output(tmp_path, 4, ended=True)[0]] == ["tw"]


@pytest.mark.usefixtures("_holes")
def test_head_and_tail_stay_on_the_disk_and_what_was_not_drained_between_is_one_line(tmp_path: Path) -> None:
    size = HEAD_BYTES + TAIL_BYTES + 20 * LEAST_HOLE_BYTES
    path = printed(tmp_path, size)
    bounded_to = bound_output(tmp_path, 0)
    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 <= HEAD_BYTES + TAIL_BYTES + 2 * LEAST_HOLE_BYTES
    texts, offset = read_all(tmp_path)
    assert offset == size
    assert texts[0].startswith("00000000")
    assert texts[-1].startswith(f"{size // len(LINE) - 1:08d}")
    left_out = [text for text in texts if "left out" in text]
    assert left_out == [f"{bounded_to - HEAD_BYTES} bytes of output were left out here"]
    kept = len(texts) - 1
    assert kept == (size - (bounded_to - HEAD_BYTES)) // len(LINE)
    from_the_middle, _ = read_all(tmp_path, offset=HEAD_BYTES - 1500)  # a drain that does not end where the hole begins
    assert [len(text) for text in from_the_middle[:2]] == [475, 1023]
    assert from_the_middle[2] == left_out[0]


@pytest.mark.usefixtures("_holes")
def test_a_process_that_prints_on_stays_within_the_bound(tmp_path: Path) -> None:
    bounded_to = offset = 0
    seen: list[str] = []
    for _ in range(8):
        path = printed(tmp_path, 4 * LEAST_HOLE_BYTES)
        texts, offset = read_all(tmp_path, offset)
        seen += texts
        bounded_to = bound_output(tmp_path, bounded_to)
    assert path.stat().st_blocks * 512 <= HEAD_BYTES + TAIL_BYTES + 2 * LEAST_HOLE_BYTES
    assert len(seen) == path.stat().st_size // len(LINE)  # all of it was drained in time


def test_a_small_file_and_a_missing_one_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound_output(tmp_path, 0) == 0
    printed(tmp_path, HEAD_BYTES)
    assert bound_output(tmp_path, 0) == 0

    def refuse(*_: int) -> None:
        raise OSError("no holes here")

    monkeypatch.setattr(output, "_punch", refuse)
    printed(tmp_path, TAIL_BYTES + 3 * LEAST_HOLE_BYTES)
    assert bound_output(tmp_path, 0) == 0
