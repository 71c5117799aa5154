"""The work of `model.download`."""

from __future__ import annotations

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.model_download.config import ModelDownloadConfig
from headway.ml.hub.transfer import Transfer


def run(config: ModelDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        transfer = Transfer(
            job,
            Keeper(job).heed,
            source=config.source,
            source_type="model",
            revision=config.revision,
            include=config.include,
            folder=job.output("model"),
            checkpoint=job.resume.path if job.resume else None,
        )
    with job.phase("downloading"):
        transfer.fetch()
    with job.phase("verifying"):
        job.artifact("model", meta=transfer.verify() | {"name": config.source})
