"""The work of `dataset.dedupe`."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.dataset_dedupe.config import DatasetDedupeConfig
from headway.ml.growing import DamagedError, GrowingFile, Mark
from headway.ml.text.documents import TextFile, read_pieces, text_files

TEXT_FILE = "text.jsonl"
STATE_FILE = "state.json"
#: A text longer than this is compared, and written, as several: what is held of it has a bound.
LONGEST_CHARACTERS = 8 << 20
#: A short document takes no longer than telling of it: a point of the curves is of so many.
DOCUMENTS_A_POINT = 100
_log = logging.getLogger(__name__)


class Document(NamedTuple):
    """A text, and where reading goes on after it: the file's number and the place in it."""

    text: str
    file: int
    place: int


def run(config: DatasetDedupeConfig, job: JobContext) -> None:
    """Read document by document, from the checkpoint where there is one; write those that are new."""
    cleaning = _Cleaning(config, job)
    with job.phase("comparing"):
        cleaning.run()
    with job.phase("saving"):
        job.artifact("dataset", meta=cleaning.finish())


class _Cleaning:
    """What has been read, and the file of what was kept of it."""

    def __init__(self, config: DatasetDedupeConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._keeper = Keeper(job)
        self._counts = Counter[str]()
        self._seen: set[bytes] = set()
        self._at = (0, 0)
        self._read_bytes = 0
        self._file = self._taken_up() or GrowingFile(job.output("dataset") / TEXT_FILE)

    def _taken_up(self) -> GrowingFile | None:
        if not self._job.resume:
            return None
        state = json.loads((self._job.resume.path / STATE_FILE).read_text())
        path = self._job.output("dataset") / TEXT_FILE
        try:
            file = GrowingFile(path, Mark(**state["kept"]))
        except DamagedError as error:
            _log.warning("%s: everything is read again", error)
            return None
        # what was kept is what has been seen: the file is the memory
        with path.open(encoding="utf-8") as lines:
            self._seen = {self._key(json.loads(line)["text"]) for line in lines}
        self._counts.update(state["counts"])
        self._at, self._read_bytes = tuple(state["at"]), state["read_bytes"]
        self._job.say(f"Going on after document {self._counts.total()}")
        return file

    def run(self) -> None:
        files = text_files(self._job.input("dataset"), mix_seed=None)
        total = sum(file.size for file in files)
        with self._job.count(unit="byte", total=total, start=self._read_bytes) as counter:
            for document in self._documents(files):
                self._take(document.text)
                self._at = (document.file, document.place)
                counter.current = min(self._read_bytes, total)
                step = self._counts.total()
                if step % DOCUMENTS_A_POINT == 0:
                    self._log()
                self._keeper.heed(step, self._save)
            self._log()

    def _log(self) -> None:
        step = max(1, self._counts.total())
        self._job.log(step, kept=self._counts["kept"], duplicate_fraction=self._counts["duplicate"] / step)

    def _documents(self, files: list[TextFile]) -> Iterator[Document]:
        first, place = self._at
        for number, file in enumerate(files[first:], start=first):
            parts: list[str] = []
            for piece in read_pieces(file, self._config.text_column, place):
                parts.append(piece.text)
                self._read_bytes += piece.read_bytes
                if piece.ends or sum(map(len, parts)) >= LONGEST_CHARACTERS:
                    yield Document("".join(parts), number, piece.place)
                    parts = []
            place = 0

    def _take(self, text: str) -> None:
        text = text.strip().encode(errors="replace").decode()  # half of a surrogate pair is no text
        key = self._key(text)
        if len(text) < max(1, self._config.min_characters):
            self._counts["short"] += 1
        elif key in self._seen:
            self._counts["duplicate"] += 1
        else:
            self._seen.add(key)
            self._counts["kept"] += 1
            self._file.write((json.dumps({"text": text}, ensure_ascii=False) + "\n").encode())

    def _key(self, text: str) -> bytes:
        if self._config.ignore_case_and_space:
            text = " ".join(text.casefold().split())
        return blake2b(text.encode(), digest_size=16).digest()

    def _save(self, folder: Path) -> None:
        state = {"at": self._at, "counts": self._counts, "read_bytes": self._read_bytes}
        (folder / STATE_FILE).write_text(json.dumps(state | {"kept": self._file.mark().model_dump()}))

    def finish(self) -> dict[str, object]:
        """Close the file; what a reader wants to know first."""
        self._file.close()
        if not self._counts["kept"]:
            if self._config.min_characters > 1:
                raise InvalidInputError(FieldProblem("config.min_characters", "no document is that long: lower it"))
            raise InvalidInputError(FieldProblem("config.dataset", "all documents in it are empty"))
        name = self._job.input_meta("dataset").get("name") or "Text"
        return {
            "name": f"{name}, without duplicates",
            "format": "text",
            "documents": self._counts["kept"],
            "duplicates": self._counts["duplicate"],
            "short": self._counts["short"],
        }
