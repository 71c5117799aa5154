"""Makes the folder and the order of an attempt: resolved inputs, output folders, where to go on from, threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from headway.domain.series import AttemptSpan, owned_until
from headway.domain.typical import Typical
from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.checkpoints import newest_valid
from headway.jobs.order import InputPlace, JobOrder
from headway.jobs.registry import get_kind
from headway.services.locate_files import attempt_folder, find_artifact, find_checkpoint
from headway.services.typical_phases import phases_of_attempt
from headway.settings import Settings
from headway.spool.control import Control
from headway.storage import artifacts as artifact_store
from headway.storage import attempts as attempt_store
from headway.storage import journal
from headway.storage.engine import transaction
from headway.storage.rows import Row


def prepare_attempt(
    engine: Engine, settings: Settings, row: Row, typical: Mapping[str, Typical]
) -> tuple[Path, JobOrder]:
    """Write `job.json` and the control flags into the attempt's new folder.

    Raises InvalidInputError when an input artifact does not lie on this host, UnavailableError.
    """
    with transaction(engine) as connection:
        inputs = _inputs(connection, row, settings)
        outputs = _outputs(connection, row, settings.headway_data_dir)
        known = checkpoints_to_go_on_from(connection, row["id"])
    candidates = [folder for checkpoint in known if (folder := find_checkpoint(settings, checkpoint))]
    valid = newest_valid(candidates)
    kind = get_kind(row["kind"])
    order = JobOrder(
        job_id=row["id"],
        attempt=row["attempt"],
        kind=row["kind"],
        config=row["config"],
        phases=phases_of_attempt(kind, row, typical),
        threads=thread_count(row, settings),
        device="cuda" if row["gpus"] else "cpu",
        inputs=inputs,
        outputs=outputs,
        cache=str(settings.headway_data_dir / "cache"),
        resume_from=[str(path) for path in candidates[candidates.index(valid.path) :]] if valid else [],
        resume_step=valid.step if valid else None,
        spool_quota_bytes=settings.headway_spool_quota_mb << 20,
    )
    folder = attempt_folder(settings.headway_data_dir, row["id"], row["attempt"])
    folder.mkdir(parents=True, exist_ok=True)
    Control.create(folder / "control")
    order.write(folder)
    return folder, order


def thread_count(row: Row, settings: Settings) -> int:
    """CPU threads of a job: kept from its first attempt on, since another count gives other losses."""
    environment: dict[str, Any] = row["environment"] or {}
    if environment.get("threads"):
        return int(environment["threads"])
    resources: dict[str, Any] = row["resources"]
    wanted = settings.headway_job_threads or int(resources.get("cpu_threads", 1))
    return max(1, min(wanted, os.cpu_count() or 1))


def _inputs(connection: Connection, row: Row, settings: Settings) -> dict[str, InputPlace]:
    found = artifact_store.inputs_of_job(connection, row["id"])
    places = {field: find_artifact(settings, each) for field, each in found.items() if each["state"] == "ready"}
    if lacking := [field for field in found if places.get(field) is None]:
        raise InvalidInputError(*(_lack(field, found[field], settings.host_name) for field in lacking))
    return {
        field: InputPlace(
            artifact_id=artifact["id"], type=artifact["type"], path=str(places[field]), meta=artifact["meta"]
        )
        for field, artifact in found.items()
    }


def _lack(field: str, artifact: Row, host: str) -> FieldProblem:
    where = (
        f"on host {artifact['host']}, not on {host}" if artifact["host"] not in (None, host) else "gone from the disk"
    )
    return FieldProblem(f"config.{field}", f"artifact {artifact['id']} is {where}: make it again or copy it back")


def _outputs(connection: Connection, row: Row, data_dir: Path) -> dict[str, str]:
    made: Sequence[dict[str, Any]] = artifact_store.artifacts_of_jobs(connection, [row["id"]])
    return {artifact["output"]: str(data_dir / "artifacts" / artifact["id"]) for artifact in made}


def checkpoints_to_go_on_from(connection: Connection, job_id: str) -> list[Row]:
    """The checkpoints on the effective curve, newest step first, on whatever host.

    One that lies beyond where a later attempt took up is on a branch that was left: going on from it would leave a gap
    in the curve between the two.
    """
    attempts = attempt_store.attempts_of(connection, job_id)
    owned = owned_until([AttemptSpan(each["number"], each["resumed_from_step"]) for each in attempts])
    return [each for each in journal.checkpoints_of(connection, job_id) if each["step"] <= owned[each["attempt"]]]
