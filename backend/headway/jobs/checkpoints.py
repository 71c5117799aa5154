"""Checkpoints on disk: a folder that is there whole or not at all.

Written as a temporary folder, every file fsynced, then `manifest.json` with each file's sha256 last, then renamed, then
the parent folder fsynced. A checkpoint that does not verify is passed over for the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.errors import CheckpointError

MANIFEST = "manifest.json"
KEEP_NEWEST = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: the step it was taken after, its folder, and how far the phases were then."""

    step: int
    path: Path
    bytes: int = 0
    best: bool = False
    standing: Sequence[Mapping[str, Any]] = ()


def save_checkpoint(
    root: Path,
    step: int,
    save: Callable[[Path], None],
    *,
    best: bool = False,
    metrics: Mapping[str, float] | None = None,
    standing: Sequence[Mapping[str, Any]] = (),
) -> Checkpoint:
    """Let `save(folder)` write its files and make them one checkpoint under `root`. OSError leaves the others whole."""
    root.mkdir(parents=True, exist_ok=True)
    final, partial = root / f"step-{step:012d}", root / f".step-{step:012d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        save(partial)
        files = {str(path.relative_to(partial)): _sync_and_hash(path) for path in _files(partial)}
        total = sum(entry["bytes"] for entry in files.values())
        manifest = {
            "format": 1,
            "step": step,
            "best": best,
            "metrics": dict(metrics or {}),
            "standing": standing,
            "files": files,
        }
        _write_synced(partial / MANIFEST, json.dumps(manifest, indent=1).encode())
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync_folder(root)
    return Checkpoint(step, final, total, best, standing)


def verify_checkpoint(path: Path) -> Checkpoint:
    """Check every file against the manifest. Raises CheckpointError that says which file is wrong."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
        for name, entry in manifest["files"].items():
            if _hash(path / name) != entry["sha256"]:
                raise CheckpointError(f"{path.name}: {name} does not have the hash its manifest names")
        total = sum(entry["bytes"] for entry in manifest["files"].values())
        standing = manifest.get("standing", ())
        return Checkpoint(int(manifest["step"]), path, total, bool(manifest["best"]), standing)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path.name}: not a whole checkpoint ({error})") from error


def newest_valid(candidates: Iterable[Path]) -> Checkpoint | None:
    """The first of the candidates (newest first) that verifies."""
    for path in candidates:
        try:
            return verify_checkpoint(path)
        except CheckpointError:
            continue
    return None


def prune(root: Path, keep: int = KEEP_NEWEST) -> list[Path]:
    """Remove all but the newest `keep` and the best; answers what was removed."""
    checkpoints = sorted(root.glob("step-*"))
    kept = set(checkpoints[-keep:]) | set([path for path in checkpoints if _is_best(path)][-1:])
    removed = [path for path in checkpoints if path not in kept]
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)
    return removed


def _is_best(path: Path) -> bool:
    try:
        return bool(json.loads((path / MANIFEST).read_text()).get("best"))
    except (OSError, ValueError):
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sync_and_hash(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": _hash(path)}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
