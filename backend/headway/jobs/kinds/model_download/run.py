"""The work of `model.download`."""

from __future__ import annotations

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.model_download.config import ModelDownloadConfig
from headway.ml.hub.files import Choice
from headway.ml.hub.transfer import Transfer


def run(config: ModelDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify, load as shapes alone; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        transfer = Transfer(
            job,
            Keeper(job).heed,
            source=config.source,
            revision=config.revision,
            choice=Choice("model", config.include),
            folder=job.output("model"),
            checkpoint=job.resume.path if job.resume else None,
        )
    with job.phase("downloading"):
        transfer.fetch()
    with job.phase("verifying"):
        meta = transfer.verify()
        from headway.ml.models.load import check_loads, described  # brings torch, which no download needs before

        job.say("Checking that the weights are those of the config")
        check_loads(job.output("model"), "config.source")
        job.artifact("model", meta=meta | described(job.output("model")) | {"name": config.source})
