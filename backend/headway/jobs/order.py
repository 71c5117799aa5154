"""`job.json`: everything a job's process is told, written by the supervisor before the process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from headway.domain.plan import PhaseSpec

FILE_NAME = "job.json"


class InputPlace(BaseModel):
    """Where an input artifact lies on this host, and what its maker said of it."""

    artifact_id: str
    type: str
    path: str
    meta: dict[str, Any] = {}


class JobOrder(BaseModel):
    """One attempt's order. `phases` carry the weights fixed for the job; `outputs` map names to folders.
    `cache` is the host's folder of what can be made again.

    `resume_from` are checkpoints to go on from, newest first; the first one verified, and is of `resume_step`.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    attempt: int
    kind: str
    config: dict[str, Any]
    phases: list[PhaseSpec]
    threads: int = 1
    device: str = "cpu"
    inputs: dict[str, InputPlace] = {}
    outputs: dict[str, str] = {}
    cache: str = ""
    resume_from: list[str] = []
    resume_step: int | None = None
    spool_quota_bytes: int = 512 << 20

    def write(self, folder: Path) -> None:
        """Store the order in the attempt's folder."""
        (folder / FILE_NAME).write_text(self.model_dump_json(indent=1))

    @classmethod
    def read(cls, folder: Path) -> JobOrder:
        """Load the order of the attempt in `folder`."""
        return cls.model_validate_json((folder / FILE_NAME).read_bytes())
