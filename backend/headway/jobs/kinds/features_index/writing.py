"""Writes the file that `headway.jobs.feature_index` describes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from headway.jobs.context import JobContext
from headway.jobs.feature_index import (
    BANDS,
    FILE_NAME,
    SCHEMA,
    VERSION,
    ExampleRow,
    FeatureRow,
    SaeRow,
    text_rowid,
)
from headway.jobs.kinds.features_index.describing import Described

TEXT_EXAMPLES = 3
FEATURES_A_STEP = 256
#: The columns that hold JSON.
JSON_TYPES = (list, dict)

Row = SaeRow | FeatureRow | ExampleRow


class About(NamedTuple):
    """What `meta` says of the index."""

    model: str | None
    dataset: str | None
    tokens: int
    context_length: int
    created_by: str


def write_index(folder: Path, saes: Sequence[Described], about: About, job: JobContext) -> list[SaeRow]:
    """Write the file, whole or not at all; answers the rows of the SAEs. Raises JobStopped."""
    partial = folder / f".{FILE_NAME}.partial"
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as database:
        database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
        for described in job.track(saes, unit="SAE"):
            _write_features(database, described, job)
        rows = [described.sae_row() for described in saes]
        _insert(database, "saes", rows)
        meta = about._asdict() | {"version": VERSION, "bands": BANDS}
        database.executemany("INSERT INTO meta VALUES (?, ?)", [(key, json.dumps(meta[key])) for key in meta])
        database.commit()
    partial.replace(folder / FILE_NAME)
    return rows


def _write_features(database: sqlite3.Connection, described: Described, job: JobContext) -> None:
    with job.count(unit="feature", total=described.d_sae) as counter:
        for first in range(0, described.d_sae, FEATURES_A_STEP):
            job.stop_if_asked()
            features = described.features(range(first, min(first + FEATURES_A_STEP, described.d_sae)))
            examples = {row.feature: described.examples(row.feature) for row in features}
            _insert(database, "features", features)
            _insert(database, "examples", [example for found in examples.values() for example in found])
            database.executemany(
                "INSERT INTO texts (rowid, sae, feature, body) VALUES (?, ?, ?, ?)",
                [_text(described.position, row, examples[row.feature]) for row in features if row.density],
            )
            counter.current = first + len(features)


def _insert(database: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    names = [field.name for field in fields(rows[0])]
    places = ", ".join("?" * len(names))
    database.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",
        [[_stored(getattr(row, name)) for name in names] for row in rows],
    )


def _stored(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, JSON_TYPES) else value


def _text(position: int, row: FeatureRow, examples: Sequence[ExampleRow]) -> tuple[int, str, int, str]:
    """What a search finds a feature by: its tokens, what it promotes, its strongest examples."""
    tokens = [token for token, _ in [*row.top_tokens, *(row.promoted or [])]]
    texts = ["".join(example.tokens) for example in examples[:TEXT_EXAMPLES]]
    return text_rowid(position, row.feature), row.sae, row.feature, "\n".join([*tokens, *texts])
