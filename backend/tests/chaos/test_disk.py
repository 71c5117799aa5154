"""A disk that fills while checkpoints are written: the newest manifest always loads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.jobs.checkpoints import newest_valid, prune, save_checkpoint

Report = Callable[[str, str, str, str], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk this needs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def write(size: int, step: int) -> Callable[[Path], None]:
    """A checkpoint's content: one file of `size` bytes."""
    return lambda folder: (folder / "state.bin").write_bytes(step.to_bytes(8, "big") * (size // 8)) and None


def test_newest_checkpoint_loads_whatever_the_disk_did(small_disk: Path, report: Report) -> None:
    loaded = refused = 0
    saved = 0
    for step in range(1, 21):
        ballast = small_disk / "ballast"
        room = (step * 7 % 24) << 20
        ballast.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - room)))
        try:
            save_checkpoint(small_disk / "checkpoints", step, write(12 << 20, step))
            saved = step
            prune(small_disk / "checkpoints")
        except OSError:
            refused += 1
        ballast.unlink()
        newest = newest_valid(sorted((small_disk / "checkpoints").glob("step-*"), reverse=True))
        loaded += (newest.step if newest else 0) == saved
    report("6 full disk", f"20 checkpoints, {refused} on a full disk", f"{loaded} of 20 newest load", "20 of 20")
    assert refused > 0
    assert loaded == 20
