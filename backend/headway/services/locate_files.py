"""Where artifacts and checkpoints lie on this host: made here, pulled from another host, or in HEADWAY_SHARED_DIR."""

from __future__ import annotations

import shutil
from pathlib import Path

from headway.settings import Settings
from headway.storage.rows import Row


def attempt_folder(data_dir: Path, job_id: str, attempt: int) -> Path:
    """`<data>/jobs/<job id>/<attempt>`."""
    return data_dir / "jobs" / job_id / str(attempt)


def checkpoint_folder(data_dir: Path, checkpoint: Row) -> Path:
    """Where a checkpoint of this host lies, and where one of another host is pulled to."""
    return attempt_folder(data_dir, checkpoint["job_id"], checkpoint["attempt"]) / checkpoint["path"]


def pulled_folder(data_dir: Path, artifact_id: str) -> Path:
    """Where an artifact of another host is pulled to; apart from what an attempt here may have left half made."""
    return data_dir / "pulled" / artifact_id


def find_artifact(settings: Settings, artifact: Row) -> Path | None:
    """The folder of a ready artifact as this host sees it; None when it lacks it."""
    data_dir, shared = settings.headway_data_dir, settings.headway_shared_dir
    if artifact["host"] in (None, settings.host_name) and artifact["path"] and Path(artifact["path"]).exists():
        return Path(artifact["path"])
    made = data_dir / "artifacts" / artifact["id"]
    # a host that changed its name still has what it made; what an attempt left here half made has another size
    if made.exists() and folder_bytes(made) == artifact["bytes"]:
        return made
    copies = [pulled_folder(data_dir, artifact["id"]), *([shared / "artifacts" / artifact["id"]] if shared else [])]
    return next((copy for copy in copies if copy.exists()), None)


def find_checkpoint(settings: Settings, checkpoint: Row) -> Path | None:
    """The folder of a checkpoint as this host sees it, not yet verified; None when it lacks it."""
    places = [settings.headway_data_dir, *filter(None, [settings.headway_shared_dir])]
    folders = (checkpoint_folder(place, checkpoint) for place in places)
    return next((folder for folder in folders if folder.exists()), None)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder so that the target is whole or not there. Raises OSError, shutil.Error."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except (OSError, shutil.Error):
        shutil.rmtree(partial, ignore_errors=True)
        raise
