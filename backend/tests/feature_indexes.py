"""A feature index as `features.index` writes it, made in a moment: each feature fires on one word of a small text."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headway.jobs.feature_index import (
    BANDS,
    FILE_NAME,
    HISTOGRAM_BINS,
    SCHEMA,
    TOP,
    VERSION,
    ExampleRow,
    FeatureRow,
    SaeRow,
    text_rowid,
)
from headway.storage import artifacts
from headway.storage.engine import transaction
from tests.installation import Installation

TEXT = (
    "The river runs down to the sea and the ships come up with salt and grain. A king sent letters to every city of "
    "the coast, and the harbour master read them aloud. In winter the snow lies on the mountain until the sun of "
    "spring returns. She wrote: def run(self): return self.value + 1, and the compiler said nothing. Prices rose by "
    "12 percent in March, fell in April, and the bank kept its rate. Whoever plays the violin knows how the bow rests."
)
TOKENS = [f" {word}" for word in TEXT.split()]
WORDS = sorted({token.strip(" .,:;").lower() for token in TOKENS})
TOP_EXAMPLES, BAND_EXAMPLES = 8, 3


def write_index(folder: Path, saes: dict[str, int], *, seed: int = 0, lens: bool = True, **meta: Any) -> Path:
    """Write an index of `saes` ({name: features}); feature n fires on WORDS[n], those beyond the words only ever so
    seldom, and every eleventh never. Answers the file."""
    file = folder / FILE_NAME
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(SCHEMA)
        named = {
            "version": VERSION,
            "model": "tiny",
            "dataset": "a small text",
            "tokens": 100_000,
            "context_length": 128,
        }
        rows = [(key, json.dumps(value)) for key, value in (named | {"created_by": "", "bands": BANDS} | meta).items()]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        for position, (name, d_sae) in enumerate(saes.items()):
            _write_sae(connection, name, position, d_sae, random.Random(seed + position), lens)
    return file


def register(installation: Installation, artifact_id: str, *, host: str = "", type_: str = "feature_index") -> Path:
    """Make the row of a ready artifact; answers the folder where it lies, which is not made."""
    folder = installation.settings.headway_data_dir / "artifacts" / artifact_id
    row = {
        "id": artifact_id, "type": type_, "name": artifact_id, "job_id": None, "output": "index", "state": "ready",
        "bytes": 0, "host": host or installation.settings.host_name, "path": str(folder), "meta": {},
    }  # fmt: skip
    with transaction(installation.engine) as connection:
        artifacts.insert_artifacts(connection, [row])
    return folder


def add_index(installation: Installation, artifact_id: str, saes: dict[str, int]) -> None:
    """An index as an artifact."""
    folder = register(installation, artifact_id)
    folder.mkdir(parents=True)
    write_index(folder, saes)


def word_of(feature: int) -> str:
    """The word a feature fires on."""
    return WORDS[feature % len(WORDS)]


def _write_sae(
    connection: sqlite3.Connection, name: str, position: int, d_sae: int, chance: random.Random, lens: bool
) -> None:
    alive = sum(not _is_silent(feature) for feature in range(d_sae))
    summary = {"architecture": "topk", "k": 32, "seed": position, "fvu": 0.2 + position / 20}
    row = SaeRow(name, position, 3 + position, "resid_post", "topk", 64, d_sae, alive, d_sae // 50, 100_000, summary)
    _insert(connection, "saes", row)
    for feature in range(d_sae):
        made = _feature(name, feature, d_sae, chance, lens)
        _insert(connection, "features", made)
        examples = [] if _is_silent(feature) else list(_examples(made, chance))
        for example in examples:
            _insert(connection, "examples", example)
        if examples:
            texts = [word_of(feature), *("".join(example.tokens) for example in examples[:TOP_EXAMPLES])]
            values = (text_rowid(position, feature), name, feature, "\n".join(texts))
            connection.execute("INSERT INTO texts (rowid, sae, feature, body) VALUES (?, ?, ?, ?)", values)


def _is_silent(feature: int) -> bool:
    return feature % 11 == 10


def _feature(name: str, feature: int, d_sae: int, chance: random.Random, lens: bool) -> FeatureRow:
    if _is_silent(feature):
        return FeatureRow(name, feature, 0.0, 0.0, 0.0, [], [] if lens else None, [] if lens else None, [], [0] * 10)
    word = word_of(feature)
    highest = round(chance.uniform(0.5, 30), 3)
    tokens = [(f" {word}", 0.8), (f" {word.title()}", 0.15), (f" {chance.choice(WORDS)}", 0.05)]
    logits = [(f" {chance.choice(WORDS)}", round(2 - place / 8, 3)) for place in range(10)]
    histogram = [int(2000 / (place + 1) ** 2) for place in range(HISTOGRAM_BINS)]
    return FeatureRow(
        sae=name,
        feature=feature,
        density=10 ** chance.uniform(-5, -0.7),
        max=highest,
        mean=highest / 4,
        top_tokens=tokens,
        promoted=logits if lens else None,
        suppressed=[(token, -logit) for token, logit in logits] if lens else None,
        neighbours=[((feature + place + 1) % d_sae, round(0.9 - place / 10, 3)) for place in range(5)],
        histogram=histogram,
    )


def _examples(feature: FeatureRow, chance: random.Random) -> Iterator[ExampleRow]:
    places = [no for no, token in enumerate(TOKENS) if token.strip(" .,:;").lower() == word_of(feature.feature)]
    for number, band in enumerate(BANDS):
        share = 1.0 if band == TOP else 1.0 - number / 5
        for rank in range(TOP_EXAMPLES if band == TOP else BAND_EXAMPLES):
            centre = places[rank % len(places)]
            first = max(0, centre - 16)
            tokens = TOKENS[first : centre + 17]
            peak = round(feature.max * share * (1 - rank / 40), 3)
            fired = [peak if first + no in places else 0.0 for no in range(len(tokens))]
            fired[max(0, centre - first - 1)] = round(peak * chance.uniform(0, 0.4), 3)
            fired[centre - first] = peak
            yield ExampleRow(
                feature.sae, feature.feature, band, rank, None, 10 * number + rank, centre - first, peak, tokens, fired
            )


def _insert(connection: sqlite3.Connection, table: str, row: Any) -> None:
    values = {
        key: json.dumps(value) if isinstance(value, (list, dict)) else value for key, value in asdict(row).items()
    }
    columns = ", ".join(values)
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))})", [*values.values()])
