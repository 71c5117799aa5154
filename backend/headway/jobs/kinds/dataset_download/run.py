"""The work of `dataset.download`."""

from __future__ import annotations

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.dataset_download.config import DatasetDownloadConfig
from headway.ml.hub.files import Choice
from headway.ml.hub.transfer import Transfer


def run(config: DatasetDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        transfer = Transfer(
            job,
            Keeper(job).heed,
            source=config.source,
            revision=config.revision,
            choice=Choice("dataset", config.include, config.split),
            stream=config.stream,
            folder=job.output("dataset"),
            checkpoint=job.resume.path if job.resume else None,
        )
    with job.phase("downloading"):
        transfer.fetch()
    with job.phase("verifying"):
        job.artifact("dataset", meta=transfer.verify() | {"name": config.source})
