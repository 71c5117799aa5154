"""What lies on a host and nobody names any more: each host removes its own, since none can reach another's disk.

Rules: a job's folder goes a day after the job was deleted; an unfinished upload when nothing came for a day; a pulled
artifact once no job has used it for a week and no job that is not over wants it; an artifact's folder a day after the
artifact was deleted; in HEADWAY_SHARED_DIR a job's checkpoints once the job is over.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine, text

from headway.domain.states import TERMINAL
from headway.services.locate_files import pulled_folder
from headway.services.receive_upload import sweep_uploads
from headway.settings import Settings
from headway.storage import artifacts as artifact_store
from headway.storage.engine import transaction

FORGOTTEN_KEPT_SECONDS = 86_400.0
PULLED_KEPT_SECONDS = 7 * 86_400.0

_STATES = text("SELECT id, state FROM jobs WHERE id = ANY(:ids)")


def sweep_host(engine: Engine, settings: Settings) -> list[Path]:
    """Remove it, and answer what was removed. Idempotent. Raises UnavailableError."""
    # folders first: each job has a row before it has a folder
    jobs = _folders(settings.headway_data_dir / "jobs")
    shared = _folders(settings.headway_shared_dir / "jobs") if settings.headway_shared_dir else []
    pulled = _folders(pulled_folder(settings.headway_data_dir, "any").parent)
    made = _folders(settings.headway_data_dir / "artifacts")
    with transaction(engine) as connection:
        ids = [folder.name for folder in (*jobs, *shared)]
        states = {row.id: row.state for row in connection.execute(_STATES, {"ids": ids})} if ids else {}
        known = artifact_store.known_artifacts(connection, [folder.name for folder in made])
        wanted = {folder for folder in pulled if artifact_store.is_in_use(connection, folder.name)}
    gone = [folder for folder in jobs if folder.name not in states and _age(folder) > FORGOTTEN_KEPT_SECONDS]
    gone += [folder for folder in shared if states.get(folder.name) in TERMINAL]
    gone += [folder for folder in pulled if folder not in wanted and _age(folder) > PULLED_KEPT_SECONDS]
    gone += [folder for folder in made if folder.name not in known and _age(folder) > FORGOTTEN_KEPT_SECONDS]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return gone + sweep_uploads(engine, settings)


def _folders(parent: Path) -> list[Path]:
    found: Iterable[Path] = parent.iterdir() if parent.is_dir() else ()
    return [folder for folder in found if folder.is_dir()]


def _age(folder: Path) -> float:
    """Seconds since anything was put into it or it was marked as used; one that is gone is new."""
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0
