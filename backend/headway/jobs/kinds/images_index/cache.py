"""What is known of pictures by the hash of their content, for every session of this host: one bounded SQLite file.

A row is (hash, what) -> bytes, with the job that made it; `what` names the maker and all of its settings that matter.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

BUSY_SECONDS = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS known (
    hash BLOB, what TEXT, made_by TEXT, used_at REAL, value BLOB, PRIMARY KEY (hash, what)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_by_use ON known (used_at);
"""
_PUT = "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)"
_TOUCH = "UPDATE known SET used_at = ? WHERE hash = ? AND what = ?"
_OLDEST = "SELECT hash, what, length(value) FROM known ORDER BY used_at LIMIT 500"


class Cache:
    """One connection, for one thread. `job_id` marks what this session made itself."""

    def __init__(self, folder: Path, job_id: str) -> None:
        self._job_id = job_id
        # autocommit: each transaction is begun where it is needed
        self._db = sqlite3.connect(folder / "known.sqlite", timeout=BUSY_SECONDS, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def hashes(self, what: str, *, own: bool) -> set[bytes]:
        """The hashes of which `what` is known; with `own` only what this very job made."""
        query = "SELECT hash FROM known WHERE what = ?" + (" AND made_by = ?" if own else "")
        return {row[0] for row in self._db.execute(query, (what, self._job_id) if own else (what,))}

    def get(self, digest: bytes, what: str) -> tuple[bytes, bool] | None:
        """What is known, and whether this very job made it; None if it is not known (any more)."""
        row = self._db.execute(
            "SELECT value, made_by = ? FROM known WHERE hash = ? AND what = ?", (self._job_id, digest, what)
        ).fetchone()
        return None if row is None else (row[0], bool(row[1]))

    def put(self, what: str, values: Mapping[bytes, bytes], used: Iterable[bytes] = ()) -> None:
        """Keep what was made and mark what was `used`, all or nothing."""
        now = time.time()
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.executemany(_PUT, [(digest, what, self._job_id, now, value) for digest, value in values.items()])
            self._db.executemany(_TOUCH, [(now, digest, what) for digest in used])

    def prune(self, most_bytes: int) -> None:
        """Forget the longest unused until at most `most_bytes` are kept."""
        kept = self._db.execute("SELECT coalesce(sum(length(value)), 0) FROM known").fetchone()[0]
        while kept > most_bytes:
            rows = self._db.execute(_OLDEST).fetchall()
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                for digest, what, size in rows:
                    if kept <= most_bytes:
                        break
                    self._db.execute("DELETE FROM known WHERE hash = ? AND what = ?", (digest, what))
                    kept -= size

    def close(self) -> None:
        """Close the file."""
        self._db.close()
