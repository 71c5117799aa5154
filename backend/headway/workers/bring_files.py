"""What an attempt needs and its host lacks is brought before its process starts: input artifacts, the checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import Engine

from headway.errors import CheckpointError, FieldProblem, InvalidInputError, PullError
from headway.jobs.checkpoints import verify_checkpoint
from headway.services.locate_files import checkpoint_folder, find_artifact, find_checkpoint, pulled_folder
from headway.services.prepare_attempt import checkpoints_to_go_on_from
from headway.services.tokens import TokenRequest, create_token, delete_token
from headway.settings import Settings
from headway.storage import artifacts as artifact_store
from headway.storage import hosts as host_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

TOKEN_DAYS = 1.0

log = structlog.get_logger(__name__)


class BringStopped(Exception):
    """The job that wanted the files was asked to stop."""


class Bringer:
    """Brings the files of one attempt; `is_stopped` is asked often and ends it with BringStopped."""

    def __init__(self, engine: Engine, settings: Settings, row: Row, is_stopped: Callable[[], bool]) -> None:
        self._engine = engine
        self._settings = settings
        self._row = row
        self._is_stopped = is_stopped

    def bring(self) -> None:
        """Bring what is lacking.

        Raises PullError while a host that has an input does not send it, InvalidInputError when no host has it,
        BringStopped, UnavailableError. A checkpoint that cannot be had is passed over for the one before.
        """
        with transaction(self._engine) as connection:
            inputs = artifact_store.inputs_of_job(connection, self._row["id"])
            checkpoints = checkpoints_to_go_on_from(connection, self._row["id"])
        for field, artifact in inputs.items():
            self._bring_input(field, artifact)
        if any(find_checkpoint(self._settings, checkpoint) is None for checkpoint in checkpoints):
            next((each for each in checkpoints if self._bring_checkpoint(each)), None)

    def _bring_input(self, field: str, artifact: Row) -> None:
        if (there := find_artifact(self._settings, artifact)) is not None:
            if there == pulled_folder(self._settings.headway_data_dir, artifact["id"]):
                there.touch()  # it is used (see services/sweep_host)
            return
        if artifact["state"] != "ready" or artifact["host"] in (None, self._settings.host_name):
            why = f"artifact {artifact['id']} is gone from the disk: make it again or copy it back"
            raise InvalidInputError(FieldProblem(f"config.{field}", why))
        target = pulled_folder(self._settings.headway_data_dir, artifact["id"])
        self._pull(artifact["host"], f"artifacts/{artifact['id']}", target)

    def _bring_checkpoint(self, checkpoint: Row) -> bool:
        """Whether the attempt can go on from it."""
        folder = find_checkpoint(self._settings, checkpoint)
        try:
            if folder is None:
                if checkpoint["host"] == self._settings.host_name:
                    return False
                folder = checkpoint_folder(self._settings.headway_data_dir, checkpoint)
                self._pull(checkpoint["host"], f"checkpoints/{checkpoint['id']}", folder)
            verify_checkpoint(folder)
        except (PullError, CheckpointError) as error:
            log.warning("checkpoint passed over", job_id=self._row["id"], step=checkpoint["step"], reason=str(error))
            return False
        return True

    def _pull(self, host: str, thing: str, target: Path) -> None:
        with transaction(self._engine) as connection:
            servers = host_store.file_servers(connection, host)
        if not servers:
            raise PullError(
                f"{thing} lies on host {host}, which serves no files now: run `headway api` there with an address that "
                "others reach (HEADWAY_ADVERTISED_URL), or set HEADWAY_SHARED_DIR on both"
            )
        request = TokenRequest(name=f"files for {self._settings.host_name}", role="viewer", expires_in_days=TOKEN_DAYS)
        token = create_token(self._engine, request)
        try:
            self._pull_from(servers, thing, target, token.token)
        finally:
            delete_token(self._engine, token.id)

    def _pull_from(self, servers: list[str], thing: str, target: Path, token: str) -> None:
        from headway.workers.pull import Wanted, pull  # httpx costs a worker's start, and few workers need it

        problem: PullError | None = None
        for server in servers:
            began = time.monotonic()
            try:
                size = pull(Wanted(server, thing, target), token, self._heed)
            except PullError as error:
                problem = error
                continue
            log.info("pulled", what=thing, server=server, bytes=size, seconds=round(time.monotonic() - began, 3))
            return
        raise problem or PullError(f"nobody sends {thing}")

    def _heed(self) -> None:
        if self._is_stopped():
            raise BringStopped
