"""The work of `dataset.download`."""

from __future__ import annotations

from headway.jobs.context import JobContext
from headway.jobs.kinds.dataset_download.config import DatasetDownloadConfig
from headway.ml.hub.acquire import Acquisition
from headway.ml.hub.sources import resolve


def run(config: DatasetDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        job.say(f"Asking {config.source} what it holds")
        source = resolve(config.source, "dataset", config.revision)
        acquisition = Acquisition(source, "dataset", config.include, job.output("dataset"))
        job.say(f"{len(acquisition.files)} files are wanted, {len(acquisition.left_out)} left out")
    with job.phase("downloading"):
        _download(acquisition, job)
    with job.phase("verifying"):
        _verify(acquisition, job)
        job.artifact("dataset", meta=acquisition.finish() | {"name": config.source})


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
