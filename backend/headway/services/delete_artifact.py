"""Delete an artifact that a person asks to be rid of, if nothing refers to it; its files go with it."""

from __future__ import annotations

import shutil

from sqlalchemy import Engine

from headway.errors import ConflictError, NotFoundError
from headway.services.locate_files import pulled_folder
from headway.services.receive_upload import abandon_upload
from headway.settings import Settings
from headway.storage import artifacts as artifact_store
from headway.storage import uploads as upload_store
from headway.storage.engine import transaction


def delete_artifact(engine: Engine, settings: Settings, artifact_id: str) -> None:
    """Delete it; other hosts remove their copies by themselves (see `sweep_host`).

    Raises NotFoundError, ConflictError while its job makes it, and while a job that is kept names it as an input.
    """
    with transaction(engine) as connection:
        row = artifact_store.lock_artifact(connection, artifact_id)
        if row is None:
            raise NotFoundError(f"there is no artifact {artifact_id}")
        unfinished_upload = row["state"] == "pending" and upload_store.is_upload(row)
        if row["state"] == "pending" and not unfinished_upload:
            raise ConflictError(f"job {row['job_id']} is about to make this artifact: cancel that first")
        if user := artifact_store.user_of(connection, artifact_id):
            raise ConflictError(f"job {user} was given this artifact: delete that job first")
        if not unfinished_upload:
            artifact_store.delete_artifact(connection, artifact_id)
    if unfinished_upload:
        abandon_upload(engine, settings, artifact_id)
        return
    places = filter(None, [settings.headway_data_dir, settings.headway_shared_dir])
    copies = [place / "artifacts" / artifact_id for place in places]
    for folder in (*copies, pulled_folder(settings.headway_data_dir, artifact_id)):
        shutil.rmtree(folder, ignore_errors=True)
