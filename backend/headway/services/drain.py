"""Drains one attempt's spool: step by step while its process runs, the rest once it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from headway.errors import FencedError
from headway.services.clean import Cleaner, clean, cleaner, storable
from headway.services.feed import Drained, Feed
from headway.services.ingest import ingest
from headway.services.ports import Signals
from headway.spool.reader import Event, SpoolReader
from headway.spool.records import EventKind
from headway.storage import jobs as job_store
from headway.storage.engine import transaction

#: Without anything to drain, the job's state is looked at this often (a cancel acts within 2 s).
WATCH_SECONDS = 0.25
#: The lease is prolonged at least this often within its length.
RENEWALS_A_LEASE = 5

#: Events whose text was written by people or libraries, which may hold secrets.
_TOLD = frozenset({EventKind.LOG, EventKind.SAID, EventKind.RESULT})

ReadOutput = Callable[..., tuple[list[dict[str, Any]], int]]


class Drain:
    """The way of one attempt's records into Postgres. What could not be committed is kept and tried again."""

    def __init__(
        self,
        engine: Engine,
        signals: Signals,
        feed: Feed,
        folder: Path,
        read_output: ReadOutput,
        secrets: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._signals = signals
        self._feed = feed
        self._folder = folder
        self._read_output = read_output
        self._shown = cleaner(secrets)
        self._reader = SpoolReader(folder / "spool", feed.spool_offset)
        self._pending: Drained | None = None
        self._state: str | None = None
        self._looked_at = 0.0
        self._renewed_at = time.monotonic()

    def step(self) -> str | None:
        """Take in what is there and answer the job's state. Raises FencedError, UnavailableError (call again)."""
        drained = self._next(ended=False)
        if drained:
            return self._commit(drained)
        return self._look()

    def take_rest(self) -> None:
        """Take in everything an ended process left, also as a superseded attempt (into its own layer)."""
        while drained := self._next(ended=True):
            row = ingest(self._engine, self._feed, drained)
            self._pending = None
            self._signals.publish(row.messages)
            self._reader.discard_through(self._feed.spool_offset)

    def _next(self, *, ended: bool) -> Drained:
        if self._pending is None:
            lines, offset = self._read_output(self._folder, self._feed.output_offset, ended=ended)
            batch = self._reader.read()
            batch.events = [event._replace(data=clean(event.data, self._cleaner_of(event))) for event in batch.events]
            self._pending = Drained(batch, [line | {"text": self._shown(line["text"])} for line in lines], offset)
            if not self._pending:
                empty, self._pending = self._pending, None
                return empty
        return self._pending

    def _cleaner_of(self, event: Event) -> Cleaner:
        return self._shown if event.kind in _TOLD else storable

    def _commit(self, drained: Drained) -> str:
        ingested = ingest(self._engine, self._feed, drained)
        self._pending = None
        self._reader.discard_through(self._feed.spool_offset)
        if ingested.row is None:
            raise FencedError(f"attempt {self._feed.attempt} no longer owns the job")
        self._signals.publish(ingested.messages)
        self._renewed_at = self._looked_at = time.monotonic()
        self._state = str(ingested.row["state"])
        return self._state

    def _look(self) -> str | None:
        now = time.monotonic()
        if now - self._renewed_at > self._feed.lease_seconds / RENEWALS_A_LEASE:
            self._state = self._renew()
            self._renewed_at = self._looked_at = now
        elif now - self._looked_at > WATCH_SECONDS:
            self._state = self._watch()
            self._looked_at = now
        return self._state

    def _renew(self) -> str:
        feed = self._feed
        with transaction(self._engine) as connection:
            state = job_store.renew_lease(connection, feed.job_id, feed.attempt, feed.owner, feed.lease_seconds)
        if state is None:
            raise FencedError(f"attempt {feed.attempt} no longer owns the job")
        return state

    def _watch(self) -> str:
        with transaction(self._engine) as connection:
            row = job_store.watch(connection, self._feed.job_id)
        if row is None or (row["attempt"], row["lease_owner"]) != (self._feed.attempt, self._feed.owner):
            raise FencedError(f"attempt {self._feed.attempt} no longer owns the job")
        return str(row["state"])
