"""Real processes: SIGKILL at any moment, a reader beside a living writer, a disk that is really full."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from headway.spool.segments import segment_bases
from headway.spool.writer import SpoolWriter

# Logs argv[2] steps (0: for ever), saying after each call that it returned: one byte a call into a pipe.
WRITER = """
import os, sys
from pathlib import Path
from headway.spool.writer import SpoolWriter
folder, steps, segment = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = SpoolWriter(folder, segment_bytes=segment)
step = 0
while step < steps or not steps:
    writer.log(step, loss=1.0 / (step + 1), **{"train/lr": 1e-3})
    os.write(1, b".")
    step += 1
os.write(2, b"done")
os.read(0, 1)
"""


def start_writer(folder: Path, steps: int, segment: int = 1 << 16) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), str(steps), str(segment)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)  # unbuffered: every byte counts


def kill(process: subprocess.Popen[bytes]) -> int:
    """SIGKILL; gives how many calls had returned."""
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=90)
    return len(said)


def read_steps(reader: SpoolReader) -> list[int]:
    steps: list[int] = []
    while (batch := reader.read()).records:
        for rows in batch.metrics:
            steps += rows.steps
    return steps


def test_kill_9_after_5000_calls_leaves_5000_records(tmp_path: Path) -> None:
    process = start_writer(tmp_path / "spool", 5000)
    assert process.stdout is not None
    assert process.stderr is not None
    said = 0
    while said < 5000:
        said += len(process.stdout.read(4096))
    assert process.stderr.read(4) == b"done"
    kill(process)
    assert read_steps(SpoolReader(tmp_path / "spool")) == list(range(5000))


@pytest.mark.parametrize("moment", [0.0, 0.003, 0.011, 0.05])
def test_kill_9_at_any_moment_loses_no_call_that_returned(tmp_path: Path, moment: float) -> None:
    process = start_writer(tmp_path / "spool", 0, segment=4096)
    assert process.stdout is not None
    before = len(process.stdout.read(1))
    deadline = time.monotonic() + moment
    while time.monotonic() < deadline:
        before += len(process.stdout.read(4096))
    returned = before + kill(process)
    steps = read_steps(SpoolReader(tmp_path / "spool"))
    assert steps == list(range(len(steps)))
    assert returned <= len(steps) <= returned + 1  # the last call may have stored its record and died before it said so


def test_a_reader_beside_a_living_writer_gets_each_record_once_and_in_order(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "spool")
    process = start_writer(tmp_path / "spool", 40_000)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    steps: list[int] = []
    deadline = time.monotonic() + 60
    while len(steps) < 40_000 and time.monotonic() < deadline:
        process.stdout.read(1 << 16)
        batch = reader.read(8192)
        for rows in batch.metrics:
            assert rows.names == ("loss", "train/lr")
            assert rows.values[::2] == [1.0 / (step + 1) for step in rows.steps]
            steps += rows.steps
        reader.discard_through(batch.end_offset)
    kill(process)
    assert steps == list(range(40_000))
    assert len(segment_bases(tmp_path / "spool")) <= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk can only be mounted by root: run as root to see a disk that is really full")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_harms_no_call_and_logging_resumes_when_there_is_room(small_disk: Path) -> None:
    folder = small_disk / "spool"
    writer = SpoolWriter(folder, segment_bytes=1 << 20)
    ballast = small_disk / "ballast"
    fill_up(ballast)
    for step in range(60_000):
        writer.log(step, loss=1.0, lr=2.0)
        if step % 1000 == 0:
            writer.housekeep()
    writer.event(EventKind.SAID, {"message": "still heard"})
    assert writer.dropped > 0
    ballast.unlink()
    writer.housekeep()
    dropped = writer.dropped
    for step in range(60_000, 70_000):
        writer.log(step, loss=1.0, lr=2.0)
    assert writer.dropped == dropped
    steps: list[int] = []
    texts: list[str] = []
    reader = SpoolReader(folder)
    while (batch := reader.read()).records:
        for rows in batch.metrics:
            steps += rows.steps
        texts += [event.data.get("text") or event.data["message"] for event in batch.events]
    assert steps[-10_000:] == list(range(60_000, 70_000))
    assert len(steps) + dropped == 70_000
    assert "No space left on device" in texts[0]
    assert texts[1] == "still heard"
    assert "every metrics record is kept" in texts[2]
    writer.close()
    reader.close()
