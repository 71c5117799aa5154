"""The work of `model.download`."""

from __future__ import annotations

from headway.jobs.context import JobContext
from headway.jobs.kinds.model_download.config import ModelDownloadConfig
from headway.ml.hub.acquire import Acquisition
from headway.ml.hub.sources import resolve


def run(config: ModelDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        job.say(f"Asking {config.source} what it holds")
        source = resolve(config.source, "model", config.revision)
        acquisition = Acquisition(source, "model", config.include, job.output("model"))
        job.say(f"{len(acquisition.files)} files are wanted, {len(acquisition.left_out)} left out")
    with job.phase("downloading"):
        _download(acquisition, job)
    with job.phase("verifying"):
        _verify(acquisition, job)
        job.artifact("model", meta=acquisition.finish() | {"name": config.source})


def _download(acquisition: Acquisition, job: JobContext) -> None:
    with job.count(unit="byte", total=acquisition.total_bytes) as overall:
        for file in acquisition.files:
            before = overall.current
            with job.count(unit=file.path, total=file.size) as counter:

                def on_bytes(done: int) -> None:
                    job.stop_if_asked()
                    counter.current = done
                    overall.current = before + done  # noqa: B023

                acquisition.fetch(file, on_bytes)
            overall.current = before + file.size


def _verify(acquisition: Acquisition, job: JobContext) -> None:
    with job.count(unit="byte", total=acquisition.total_bytes) as counter:

        def on_bytes(count: int) -> None:
            job.stop_if_asked()
            counter.advance(count)

        for file in acquisition.files:
            acquisition.verify(file, on_bytes)
