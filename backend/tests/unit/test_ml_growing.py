"""A growing file is gone on with where a mark stands, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.ml import growing
from headway.ml.growing import DamagedError, GrowingFile


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=12), st.lists(st.binary(max_size=50), max_size=4), st.data())
def test_file_cut_back_to_any_mark_and_written_again_is_the_same(parts, lost, data):
    stop = data.draw(st.integers(0, len(parts)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        first = GrowingFile(path)
        for part in parts[:stop]:
            first.write(part)
        mark = first.mark()
        for part in lost:
            first.write(part)
        counted: list[int] = []
        second = GrowingFile(path, mark, counted.append)
        for part in parts[stop:]:
            second.write(part)
        first_whole = GrowingFile(Path(folder) / "whole")
        first_whole.write(b"".join(parts))
        assert second.close() == first_whole.close()
        assert path.read_bytes() == b"".join(parts)
        assert sum(counted) == mark.bytes


@pytest.mark.parametrize("left", [b"", b"0123456", b"0123x56789", b"x123456789 and more"])
def test_file_that_does_not_hold_what_was_written_is_damaged(tmp_path, monkeypatch, left):
    monkeypatch.setattr(growing, "READ_BYTES", 3)
    file = GrowingFile(tmp_path / "file")
    file.write(b"0123456789")
    mark = file.close()
    (tmp_path / "file").write_bytes(left)
    with pytest.raises(DamagedError, match="file does not hold the 10 bytes"):
        GrowingFile(tmp_path / "file", mark)


def test_file_that_is_gone_is_damaged(tmp_path):
    mark = GrowingFile(tmp_path / "file").close()
    (tmp_path / "file").unlink()
    with pytest.raises(DamagedError, match="cannot be gone on with"):
        GrowingFile(tmp_path / "file", mark)
