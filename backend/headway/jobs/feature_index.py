"""The file of a `feature_index` artifact: one SQLite database that `features.index` writes once and others only read.

Every page of a feature browser is one index seek in it. Columns that say JSON hold a document as text; the dataclasses
here are its rows, named as the columns. Open it with `file:<path>?mode=ro&immutable=1`: it never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FILE_NAME = "features.sqlite"
VERSION = 1

#: The strongest examples, then some of each quarter of a feature's firings by activation, from strong to weak.
TOP = "top"
QUANTILES = ("q3", "q2", "q1", "q0")
BANDS = (TOP, *QUANTILES)

WINDOW_TOKENS = 33
HISTOGRAM_BINS = 10

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE saes (
    sae TEXT PRIMARY KEY, position INTEGER NOT NULL, layer INTEGER NOT NULL, hook TEXT NOT NULL,
    architecture TEXT NOT NULL, d_in INTEGER NOT NULL, d_sae INTEGER NOT NULL,
    alive INTEGER NOT NULL, dense INTEGER NOT NULL, tokens INTEGER NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE features (
    sae TEXT NOT NULL, feature INTEGER NOT NULL,
    density REAL NOT NULL, max REAL NOT NULL, mean REAL NOT NULL,
    top_tokens TEXT NOT NULL, promoted TEXT, suppressed TEXT, neighbours TEXT NOT NULL, histogram TEXT NOT NULL,
    PRIMARY KEY (sae, feature)
) WITHOUT ROWID;
CREATE INDEX features_by_density ON features (sae, density, feature);
CREATE INDEX features_by_max ON features (sae, max, feature);
CREATE INDEX features_by_mean ON features (sae, mean, feature);

CREATE TABLE examples (
    sae TEXT NOT NULL, feature INTEGER NOT NULL, band TEXT NOT NULL, rank INTEGER NOT NULL,
    document INTEGER, context INTEGER NOT NULL, position INTEGER NOT NULL, activation REAL NOT NULL,
    tokens TEXT NOT NULL, activations TEXT NOT NULL,
    PRIMARY KEY (sae, feature, band, rank)
) WITHOUT ROWID;

CREATE VIRTUAL TABLE texts USING fts5 (sae UNINDEXED, feature UNINDEXED, body);
"""

#: The keys of `meta`, each with a JSON value: `version` is VERSION, `bands` is BANDS, `tokens` how many were indexed.
META_KEYS = ("version", "model", "dataset", "tokens", "context_length", "created_by", "bands")


def text_rowid(position: int, feature: int) -> int:
    """The rowid that a feature's row of `texts` must have (by its SAE's position): a search then reads no text."""
    return position << 32 | feature


@dataclass(frozen=True, slots=True)
class SaeRow:
    """One SAE (its folder's name), in the order of the artifact it came from.

    `alive` features fired at least once in `tokens`, `dense` ones on more than a tenth of them. `summary` (JSON) is
    what its maker said of it, as `k` or `seed`.
    """

    sae: str
    position: int
    layer: int
    hook: str
    architecture: str
    d_in: int
    d_sae: int
    alive: int
    dense: int
    tokens: int
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature; those that never fire have a row too, with zeros and empty lists.

    `density` is the share of tokens on which it fires (0..1), `max` and `mean` are over those tokens. `top_tokens`:
    (token, its share of all activation), largest first. `promoted` and `suppressed`: (token, logit) by the logit
    lens, None where the model has no unembedding. `neighbours`: (feature, cosine of the decoder rows), nearest first.
    `histogram`: tokens by activation / max in HISTOGRAM_BINS equal bins from 0 to 1.
    """

    sae: str
    feature: int
    density: float
    max: float
    mean: float
    top_tokens: list[tuple[str, float]]
    promoted: list[tuple[str, float]] | None
    suppressed: list[tuple[str, float]] | None
    neighbours: list[tuple[int, float]]
    histogram: list[int]


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A place where a feature fires: at most WINDOW_TOKENS tokens around the peak, which is `tokens[position]`.

    `band` is one of BANDS, `rank` counts from 0 in it, strongest first. `context` is its number in the token store,
    `document` that of its document, None where contexts span several. `activations` are those of each token of the
    window, rounded to 3 decimals.
    """

    sae: str
    feature: int
    band: str
    rank: int
    document: int | None
    context: int
    position: int
    activation: float
    tokens: list[str]
    activations: list[float]
