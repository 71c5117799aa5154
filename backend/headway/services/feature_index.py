"""Reads the file of a feature index: one read-only SQLite database, each page of it a seek in one of its indexes."""

from __future__ import annotations

import json
import re
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any, Literal

from headway.errors import ConflictError, NotFoundError
from headway.jobs.feature_index import BANDS, VERSION, text_rowid

Sort = Literal["density", "max", "mean", "index", "label"]
Order = Literal["asc", "desc"]
Place = tuple[float | str, int]
Row = dict[str, Any]

#: Firing densities are counted by quarter decades; what fires more seldom than the first edge is in the first bin.
LOG10_EDGES = tuple(edge / 4 for edge in range(-28, 1))

_JSON = ("summary", "top_tokens", "promoted", "suppressed", "neighbours", "histogram", "tokens", "activations")
_KEYS: dict[Sort, str] = {
    "density": "f.density",
    "max": "f.max",
    "mean": "f.mean",
    "index": "f.feature",
    "label": "l.value",
}
_OF_THESE = "WHERE sae = :sae AND feature IN (SELECT value FROM json_each(:features))"
_WHOLE = f"SELECT * FROM features {_OF_THESE}"
_EXAMPLES = f"SELECT * FROM examples {_OF_THESE}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which features of an SAE, in which order. `labels` are those of the SAE by feature where they matter.

    `after` is the last feature seen, with the value it was sorted by. Sorted by label, only what has one is there.
    """

    sae: str
    sort: Sort
    order: Order
    q: str | None
    densities: tuple[float, float]
    labelled: bool | None
    labels: Mapping[int, str]
    after: Place | None
    limit: int


class FeatureIndex:
    """An open index."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.row_factory = sqlite3.Row

    def meta(self) -> dict[str, Any]:
        """What was indexed, by META_KEYS."""
        return {key: json.loads(value) for key, value in self._connection.execute("SELECT key, value FROM meta")}

    def saes(self) -> list[Row]:
        """Every SAE, in the order of its artifact."""
        return self._rows("SELECT * FROM saes ORDER BY position")

    def sae(self, name: str) -> Row:
        """One SAE. Raises NotFoundError that names those there are."""
        found = self._rows("SELECT * FROM saes WHERE sae = :sae", {"sae": name})
        if not found:
            names = ", ".join(row["sae"] for row in self.saes())
            raise NotFoundError(f"there is no SAE {name} in this index, which holds {names}")
        return found[0]

    def densities(self, sae: str) -> tuple[list[int], int]:
        """How many features fire how often, between 10 to the LOG10_EDGES, and how many never do."""
        bins = len(LOG10_EDGES) - 1
        counts, never = [0] * bins, 0
        for (density,) in self._connection.execute("SELECT density FROM features WHERE sae = ?", (sae,)):
            if density > 0:
                counts[min(bins, max(1, bisect_left(LOG10_EDGES, log10(density)))) - 1] += 1
            else:
                never += 1
        return counts, never

    def whole(self, sae: str, features: Sequence[int]) -> list[Row]:
        """Features whole, their examples from the strongest band to the weakest. Raises NotFoundError."""
        named = {"sae": sae, "features": json.dumps(list(features))}
        rows = {row["feature"]: row for row in self._rows(_WHOLE, named)}
        for feature in features:
            if feature not in rows:
                raise NotFoundError(f"there is no feature {feature} of {sae} in this index")
        examples: dict[int, list[Row]] = defaultdict(list)
        for example in sorted(self._rows(_EXAMPLES, named), key=lambda row: (BANDS.index(row["band"]), row["rank"])):
            examples[example["feature"]].append(example)
        return [rows[feature] | {"examples": examples[feature]} for feature in features]

    def features(self, wanted: Wanted) -> tuple[list[Row], list[Place]]:
        """A page of features, and the place of each."""
        key = _KEYS[wanted.sort]
        source, where, values = self._conditions(wanted)
        if wanted.after is not None:
            where += f" AND ({key}, f.feature) {'>' if wanted.order == 'asc' else '<'} (:value, :feature)"
            values |= {"value": wanted.after[0], "feature": wanted.after[1]}
        # the page is chosen from an index alone; only its own rows, which are wide, are read
        statement = f"""
            WITH page AS (
                SELECT f.feature AS no, {key} AS key FROM {source} WHERE {where}
                ORDER BY {key} {wanted.order}, f.feature {wanted.order} LIMIT :limit
            )
            SELECT feature, density, max, mean, top_tokens, key
            FROM page CROSS JOIN features ON sae = :sae AND feature = no
            ORDER BY key {wanted.order}, feature {wanted.order}
        """
        rows = self._rows(statement, values | {"limit": wanted.limit})
        return rows, [(row.pop("key"), row["feature"]) for row in rows]

    def count(self, wanted: Wanted) -> int:
        """How many features there are on all pages."""
        source, where, values = self._conditions(wanted)
        return self._connection.execute(f"SELECT count(*) FROM {source} WHERE {where}", values).fetchone()[0]

    def _conditions(self, wanted: Wanted) -> tuple[str, str, Row]:
        """FROM, WHERE and their values."""
        values: Row = {"sae": wanted.sae}
        source, where = "features f", ["f.sae = :sae"]
        # `+` leaves the order's own index in use: each of its rows is looked up in the set, instead of sorting the set
        feature = "f.feature" if wanted.sort == "index" else "+f.feature"
        if wanted.sort == "label":
            source = "json_each(:labels) l CROSS JOIN features f ON f.feature = CAST(l.key AS INTEGER)"
            values["labels"] = json.dumps({no: label.casefold() for no, label in wanted.labels.items()})
        elif wanted.labelled is not None:
            where.append(f"{feature} {'' if wanted.labelled else 'NOT '}IN (SELECT value FROM json_each(:labelled))")
            values["labelled"] = json.dumps(list(wanted.labels))
        if wanted.densities != (0, 1):
            within = "f.density BETWEEN :least AND :most"
            # in another order each row would be read for its density: the index of densities names those that fit
            fitting = f"{feature} IN (SELECT f.feature FROM features f WHERE f.sae = :sae AND {within})"
            where.append(within if wanted.sort == "density" else fitting)
            values["least"], values["most"] = wanted.densities
        if wanted.q is not None:
            found, searched = self._search(wanted.sae, wanted.q, wanted.labels)
            where.append(f"{feature} IN ({found})")
            values |= searched
        return source, " AND ".join(where), values

    def _search(self, sae: str, q: str, labels: Mapping[int, str]) -> tuple[str, Row]:
        """A subquery of features: every word of `q` is in their texts (the last may be begun), or it in their label, or
        it is their number."""
        folded = q.casefold()
        named = [feature for feature, label in labels.items() if folded in label.casefold()]
        if q.isdecimal():
            named.append(int(q))
        statement = "SELECT value FROM json_each(:named)"
        values: Row = {"named": json.dumps(named)}
        words = re.findall(r"\w+", q)
        if not words:
            return statement, values
        position = self.sae(sae)["position"]
        values |= {"first": text_rowid(position, 0), "next": text_rowid(position + 1, 0)}
        values["match"] = " ".join(f'"{word}"' for word in words) + "*"
        of_texts = "SELECT rowid - :first FROM texts WHERE texts MATCH :match AND rowid >= :first AND rowid < :next"
        return f"{statement} UNION ALL {of_texts}", values

    def _rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        return [_decoded(row) for row in self._connection.execute(statement, values or {})]


@contextmanager
def open_index(file: Path) -> Generator[FeatureIndex]:
    """Open an index to read it. Raises ConflictError for a file that is none, or of another version."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            index = FeatureIndex(connection)
            version = index.meta().get("version")
            if version != VERSION:
                raise ConflictError(f"the index is of version {version}, not {VERSION}: run features.index again")
            yield index
    except sqlite3.DatabaseError as error:
        raise ConflictError(f"the index cannot be read ({error}): run features.index again") from None


def _decoded(row: sqlite3.Row) -> Row:
    values = dict(zip(row.keys(), row, strict=True))
    # `tokens` is a document of an example, and a plain count of an SAE
    return values | {key: json.loads(values[key]) for key in _JSON if isinstance(values.get(key), str)}
