"""What the phases of one session share: its pictures, what looks at them, what is known, and how far it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.images_index.cache import Cache
from headway.jobs.kinds.images_index.config import ImagesConfig, Phase
from headway.jobs.kinds.images_index.embedders import Embedder
from headway.jobs.kinds.images_index.faces import Detector
from headway.jobs.kinds.images_index.sources import Source
from headway.jobs.kinds.images_index.work import Work

STATE_FILE = "done.json"
ORDER: tuple[Phase, ...] = ("embedding", "face_detection", "clustering")
T = TypeVar("T")


@dataclass
class Session:
    """One attempt at a session. Steps are pictures embedded, then pictures looked at for faces, then groupings."""

    config: ImagesConfig
    job: JobContext
    source: Source
    names: list[str]
    embedder: Embedder
    detector: Detector
    cache: Cache
    work: Work
    pool: ThreadPoolExecutor
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.job, self.config.checkpoint_seconds)

    @property
    def most_pixels(self) -> int:
        """More make a picture broken."""
        return self.config.most_megapixels * 1_000_000

    @property
    def depth(self) -> int:
        """Pictures read ahead: enough for the next batch to be ready when one is done."""
        return 2 * self.config.batch_size + 2 * self.job.threads

    def known(self, phase: Phase, what: str) -> set[bytes]:
        """The hashes that need not be done in a phase; of one to restart only those that this job did."""
        restart = self.config.restart_from
        return self.cache.hashes(what, own=restart is not None and ORDER.index(restart) <= ORDER.index(phase))

    def heed(self, step: int) -> None:
        """After every batch: checkpoints and requests. Raises JobStopped."""
        self.keeper.heed(step, self.save)

    def save(self, folder: Path) -> None:
        """How far it is: all else stands in the work file."""
        counts = self.work.counts
        (folder / STATE_FILE).write_text(json.dumps({"embedded": counts.embedded, "looked": counts.looked}))


def done_before(job: JobContext) -> dict[str, int] | None:
    """How far the checkpoint is that this attempt takes up; None at a fresh start."""
    if not job.resume:
        return None
    return cast("dict[str, int]", json.loads((job.resume.path / STATE_FILE).read_text()))


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


class Pace:
    """Items a second since the last reading."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def of(self, count: int) -> float:
        """The rate of `count` items done since then."""
        now = time.monotonic()
        rate = count / max(1e-9, now - self._at)
        self._at = now
        return rate
