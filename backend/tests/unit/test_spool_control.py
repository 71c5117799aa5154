"""The flags between a supervisor and its job process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import SpoolError
from headway.spool.control import Control

CHILD = """
import sys
from pathlib import Path
from headway.spool.control import Control
control = Control.open(Path(sys.argv[1]))
print(control.cancelled, control.paused, flush=True)
for line in sys.stdin:
    print(control.cancelled, control.paused, flush=True)
"""


def test_a_raised_flag_is_seen_at_once_in_the_other_process(tmp_path: Path) -> None:
    control = Control.create(tmp_path / "control")
    command = [sys.executable, "-c", CHILD, str(tmp_path / "control")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "False False\n"
        for raise_flag, seen in ((control.pause, "False True\n"), (control.cancel, "True True\n")):
            raise_flag()
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == seen
    control.close()


def test_flags_outlive_the_one_that_raised_them(tmp_path: Path) -> None:
    control = Control.create(tmp_path / "control")
    control.cancel()
    control.close()
    assert Control.open(tmp_path / "control").cancelled
    assert (tmp_path / "control").stat().st_size == 64


def test_a_missing_or_short_file_is_refused_and_an_old_one_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="supervisor makes it"):
        Control.open(tmp_path / "control")
    (tmp_path / "control").write_bytes(b"")
    with pytest.raises(SpoolError, match="supervisor makes it"):
        Control.open(tmp_path / "control")
    with pytest.raises(FileExistsError):
        Control.create(tmp_path / "control")
