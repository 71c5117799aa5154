"""The work of `dataset.download`."""

from __future__ import annotations

import json
from pathlib import Path

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.dataset_download.config import DatasetDownloadConfig
from headway.ml.hub.acquire import Acquisition
from headway.ml.hub.sources import resolve

STATE_FILE = "state.json"


def run(config: DatasetDownloadConfig, job: JobContext) -> None:
    """Resolve, download, verify; part files left by an earlier attempt are gone on with."""
    with job.phase("resolving"):
        job.say(f"Asking {config.source} what it holds")
        source = resolve(config.source, "dataset", _pinned(job) or config.revision)
        download = _Download(Acquisition(source, "dataset", config.include, job.output("dataset")), job)
    with job.phase("downloading"):
        download.fetch()
    with job.phase("verifying"):
        job.artifact("dataset", meta=download.verify() | {"name": config.source})


def _pinned(job: JobContext) -> str | None:
    """The commit an earlier attempt took files of: the rest is of the same, wherever its branch is now."""
    return json.loads((job.resume.path / STATE_FILE).read_text())["revision"] if job.resume else None


class _Download:
    """The way of the files; they lie in the output folder, so a checkpoint only holds their commit."""

    def __init__(self, acquisition: Acquisition, job: JobContext) -> None:
        self._acquisition, self._job = acquisition, job
        self._keeper = Keeper(job)
        for phase in ("downloading", "verifying"):
            job.expect(phase, unit="byte", total=acquisition.total_bytes)
        job.say(f"{len(acquisition.files)} files are wanted, {len(acquisition.left_out)} left out")

    def fetch(self) -> None:
        """Bring all files, counting the bytes that are there and the files that are whole."""
        acquisition, job = self._acquisition, self._job
        total, there = acquisition.total_bytes, acquisition.arrived_bytes
        with job.count(unit="byte", total=total, start=there) as size:

            def heed() -> None:
                size.current = acquisition.arrived_bytes
                self._heed()

            for file in job.track(acquisition.files, unit="file"):
                job.say(file.path)
                acquisition.fetch(file, heed)

    def verify(self) -> dict[str, object]:
        """Check all files and put them in their places; answers what the artifact says of itself."""
        with self._job.count(unit="byte", total=self._acquisition.total_bytes) as size:

            def on_bytes(count: int) -> None:
                size.advance(count)
                self._heed()

            for file in self._job.track(self._acquisition.files, unit="file"):
                self._acquisition.verify(file, on_bytes)
        return self._acquisition.finish()

    def _heed(self) -> None:
        self._keeper.heed(self._acquisition.arrived_bytes >> 20, self._save)

    def _save(self, folder: Path) -> None:
        state = {"revision": self._acquisition.revision, "bytes": self._acquisition.arrived_bytes}
        (folder / STATE_FILE).write_text(json.dumps(state))
