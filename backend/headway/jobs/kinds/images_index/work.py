"""What a session has so far: one SQLite file in its output's folder, so that any attempt goes on where one ended.

Rows are written in the order of the pictures, a batch a transaction. A checkpoint only says how many there were; what
is beyond it is cut off, and comes back from the cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from headway.jobs.kinds.images_index.sources import Listing

FILE = "work.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS listed (no INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE IF NOT EXISTS pictures (
    no INTEGER PRIMARY KEY, hash BLOB, bytes INTEGER, width INTEGER, height INTEGER, error TEXT, reused INTEGER,
    vector BLOB, thumb BLOB
);
CREATE TABLE IF NOT EXISTS looks (no INTEGER PRIMARY KEY, error TEXT, reused INTEGER);
CREATE TABLE IF NOT EXISTS faces (
    no INTEGER PRIMARY KEY, picture INTEGER, box TEXT, score REAL, vector BLOB, thumb BLOB
);
"""
_COUNT = """
SELECT (SELECT count(*) FROM pictures), (SELECT count(error) FROM pictures),
    (SELECT coalesce(sum(reused), 0) FROM pictures), (SELECT count(*) FROM looks), (SELECT count(error) FROM looks),
    (SELECT coalesce(sum(reused), 0) FROM looks), (SELECT count(*) FROM faces),
    (SELECT count(DISTINCT picture) FROM faces)
"""


@dataclass(slots=True)
class Counts:
    """How many pictures were embedded and looked at for faces, broken and re-used among them, and faces found."""

    embedded: int
    broken: int
    reused: int
    looked: int
    look_broken: int
    look_reused: int
    faces: int
    with_faces: int


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A picture of the session; `vector` (float32) and `thumb` (JPEG) are empty where it is broken."""

    no: int
    hash: bytes
    bytes: int
    width: int
    height: int
    error: str | None
    reused: bool
    vector: bytes
    thumb: bytes


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A face: its box as JSON of left, top, width, height in shares of the picture, and the detector's score."""

    picture: int
    box: str
    score: float
    vector: bytes
    thumb: bytes


class Work:
    """The session's own file. Opened with the listing of its source, which the first attempt fixes for all."""

    def __init__(self, folder: Path, listing: Listing, *, fresh: bool) -> None:
        self.path = folder / FILE
        if fresh:
            self._remove()
        self._db = sqlite3.connect(self.path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        if not self.names:
            self._write("INSERT INTO listed (name) VALUES (?)", [(name,) for name in listing.names])
        #: how far the session is; counted once, then kept, for a batch must not cost more the more there were before
        self.counts = self._counted()

    @property
    def names(self) -> list[str]:
        """The pictures by number."""
        return [row[0] for row in self._db.execute("SELECT name FROM listed ORDER BY no")]

    def cut(self, embedded: int, looked: int) -> None:
        """Forget what is beyond so many pictures."""
        self._db.execute("BEGIN")
        with self._db:
            self._db.execute("DELETE FROM pictures WHERE no >= ?", (embedded,))
            self._db.execute("DELETE FROM looks WHERE no >= ?", (looked,))
            self._db.execute("DELETE FROM faces WHERE picture >= ?", (looked,))
        self.counts = self._counted()

    def add_pictures(self, rows: Sequence[PictureRow]) -> None:
        """Store a batch of pictures."""
        self._write("INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [astuple(row) for row in rows])
        self.counts.embedded += len(rows)
        self.counts.broken += sum(row.error is not None for row in rows)
        self.counts.reused += sum(row.reused for row in rows)

    def add_looks(self, looks: Sequence[tuple[int, str | None, bool]], faces: Sequence[FaceRow]) -> None:
        """Store a batch of pictures looked at (number, error, re-used) with the faces found on them."""
        self._db.execute("BEGIN")
        with self._db:
            self._db.executemany("INSERT INTO looks VALUES (?, ?, ?)", looks)
            # numbered from 0 in the order of the pictures
            first = self._db.execute("SELECT coalesce(max(no) + 1, 0) FROM faces").fetchone()[0]
            self._db.executemany(
                "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?)",
                [(first + n, f.picture, f.box, f.score, f.vector, f.thumb) for n, f in enumerate(faces)],
            )
        self.counts.looked += len(looks)
        self.counts.look_broken += sum(error is not None for _, error, _ in looks)
        self.counts.look_reused += sum(reused for _, _, reused in looks)
        self.counts.faces += len(faces)
        self.counts.with_faces += len({face.picture for face in faces})

    def hashes(self, first: int) -> Iterator[tuple[int, bytes, bool]]:
        """Number, hash and whether it is broken, of each picture from `first`."""
        query = "SELECT no, hash, error IS NOT NULL FROM pictures WHERE no >= ? ORDER BY no"
        return ((no, digest, bool(broken)) for no, digest, broken in self._db.execute(query, (first,)).fetchall())

    def vectors(self, table: str) -> tuple[list[int], list[bytes]]:
        """Numbers and vectors of all `pictures` that are not broken, or of all `faces`."""
        rows = self._db.execute(f"SELECT no, vector FROM {table} WHERE length(vector) > 0 ORDER BY no").fetchall()
        return [row[0] for row in rows], [row[1] for row in rows]

    def thumbs(self, table: str) -> Iterator[tuple[int, bytes]]:
        """Numbers and thumbnails of all `pictures` or `faces` that have one."""
        yield from self._db.execute(f"SELECT no, thumb FROM {table} WHERE length(thumb) > 0 ORDER BY no")

    def thumb(self, table: str, no: int) -> bytes:
        """One thumbnail."""
        return self._db.execute(f"SELECT thumb FROM {table} WHERE no = ?", (no,)).fetchone()[0]

    def told_pictures(self) -> list[dict[str, Any]]:
        """All pictures, by number, as the results tell them."""
        query = (
            "SELECT l.name, p.width, p.height, coalesce(p.error, k.error) FROM pictures p "
            "JOIN listed l ON l.no = p.no + 1 LEFT JOIN looks k ON k.no = p.no ORDER BY p.no"
        )
        return [
            {"no": no, "name": name, "width": width, "height": height, "error": error}
            for no, (name, width, height, error) in enumerate(self._db.execute(query))
        ]

    def told_faces(self) -> list[tuple[int, int, str, float]]:
        """Number, picture, box and score of all faces."""
        return self._db.execute("SELECT no, picture, box, score FROM faces ORDER BY no").fetchall()

    def close(self, *, remove: bool = False) -> None:
        """Close the file; with `remove` it has served."""
        self._db.close()
        if remove:
            self._remove()

    def _counted(self) -> Counts:
        return Counts(*self._db.execute(_COUNT).fetchone())

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._db.execute("BEGIN")
        with self._db:
            self._db.executemany(statement, rows)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(FILE + suffix).unlink(missing_ok=True)
