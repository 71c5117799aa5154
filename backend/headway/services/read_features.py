"""Read what a feature index holds, with the labels that people and models gave."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.jobs.feature_index import FILE_NAME
from headway.services.feature_index import LOG10_EDGES, Order, Place, Sort, Wanted, open_index
from headway.services.read_artifacts import get_artifact
from headway.services.serve_files import artifact_file
from headway.services.views import Moment, View
from headway.settings import Settings
from headway.storage import feature_labels
from headway.storage.engine import transaction
from headway.storage.feature_labels import Source

ARTIFACT_TYPE = "feature_index"
_RISING = ("index", "label")


class LabelView(View):
    """What a feature is called: by a person's `hand`, or by a `model`; `author` names the token or the model."""

    label: str
    source: Source
    author: str
    at: Moment


class IndexedSaeView(View):
    """An SAE in an index: `alive` features fire at least once in `tokens`, `dense` ones on over a tenth of them.

    `labelled` features have a label; `summary` is what the SAE's maker said of it.
    """

    sae: str
    layer: int
    hook: str
    architecture: str
    d_in: int
    d_sae: int
    alive: int
    dense: int
    tokens: int
    labelled: int
    summary: dict[str, Any]


class FeatureIndexView(View):
    """What an index holds; `labeller` is the model that labels features when asked to, null if there is none."""

    id: str
    meta: dict[str, Any]
    saes: list[IndexedSaeView]
    labeller: str | None


class FeatureView(View):
    """A feature at a glance. `density` is the share of tokens on which it fires; `max` and `mean` are over those.

    `top_tokens` are those it fires on most, each with its share of all activation.
    """

    feature: int
    density: float
    max: float
    mean: float
    top_tokens: list[tuple[str, float]]
    label: LabelView | None


class FeaturesPage(View):
    """A page of features; the first one tells how many there are on all pages."""

    items: list[FeatureView]
    next_cursor: str | None
    total: int | None


class ExampleView(View):
    """A place where a feature fires: tokens around the peak, which is at `position`, each with its activation.

    `band` is `top` for the strongest, then `q3` to `q0` for the quarters from its maximum down to 0.
    """

    band: str
    rank: int
    document: int | None
    context: int
    position: int
    activation: float
    tokens: list[str]
    activations: list[float]


class NeighbourView(View):
    """A feature with a similar decoder row."""

    feature: int
    cosine: float
    label: str | None


class WholeFeatureView(FeatureView):
    """All that is known of a feature. `histogram` counts tokens by activation, in equal bins from 0 to `max`.

    `promoted` and `suppressed` tokens come with their logit, by the logit lens; null where the model has none.
    """

    sae: str
    promoted: list[tuple[str, float]] | None
    suppressed: list[tuple[str, float]] | None
    neighbours: list[NeighbourView]
    histogram: list[int]
    examples: list[ExampleView]


class DensitiesView(View):
    """How many features of an SAE fire how often: `counts` between 10 to the `log10_edges`, and how many `never` do."""

    sae: str
    log10_edges: list[float]
    counts: list[int]
    never: int


class FeatureQuery(BaseModel):
    """Which features, in which order."""

    model_config = ConfigDict(extra="forbid")

    sae: str = Field(max_length=128, description="The SAE, as the index names it.")
    sort: Sort = Field("density", description="`label` lists only features that have one.")
    order: Order | None = Field(None, description="By default rising for `index` and `label`, falling for the others.")
    q: str | None = Field(
        None, max_length=200, description="Words of its tokens and examples, of its label, its number."
    )
    min_density: float = Field(0, ge=0, le=1)
    max_density: float = Field(1, ge=0, le=1)
    labelled: bool | None = None
    cursor: str | None = Field(None, max_length=500)
    limit: int = Field(100, ge=1, le=500)


def index_file(engine: Engine, settings: Settings, artifact_id: str) -> Path:
    """The file of an index. Raises NotFoundError: for what is none, and with where it lies if that is another host."""
    found = get_artifact(engine, artifact_id).type
    if found != ARTIFACT_TYPE:
        raise NotFoundError(f"artifact {artifact_id} is of type {found}, not {ARTIFACT_TYPE}")
    return artifact_file(engine, settings, artifact_id, FILE_NAME)


def read_index(engine: Engine, settings: Settings, artifact_id: str) -> FeatureIndexView:
    """The SAEs of an index. Raises NotFoundError, ConflictError."""
    with open_index(index_file(engine, settings, artifact_id)) as index:
        meta, rows = index.meta(), index.saes()
    with transaction(engine) as connection:
        labelled = feature_labels.count_labels(connection, artifact_id)
    return FeatureIndexView(
        id=artifact_id,
        meta=meta,
        saes=[IndexedSaeView(**row, labelled=labelled.get(row["sae"], 0)) for row in rows],
        labeller=settings.headway_label_model or None,
    )


def list_features(engine: Engine, settings: Settings, artifact_id: str, query: FeatureQuery) -> FeaturesPage:
    """A page of an SAE's features. Raises NotFoundError, InvalidInputError, ConflictError."""
    file = index_file(engine, settings, artifact_id)
    wanted = _wanted(engine, artifact_id, query)
    with open_index(file) as index:
        index.sae(query.sae)
        rows, places = index.features(wanted)
        total = index.count(wanted) if wanted.after is None else None
    labels = read_labels(engine, artifact_id, query.sae, [row["feature"] for row in rows])
    return FeaturesPage(
        items=[FeatureView(**row, label=labels.get(row["feature"])) for row in rows],
        next_cursor=_written(places[-1]) if len(rows) == query.limit else None,
        total=total,
    )


def read_densities(engine: Engine, settings: Settings, artifact_id: str, sae: str) -> DensitiesView:
    """The histogram of an SAE's firing densities. Raises NotFoundError, ConflictError."""
    with open_index(index_file(engine, settings, artifact_id)) as index:
        index.sae(sae)
        counts, never = index.densities(sae)
    return DensitiesView(sae=sae, log10_edges=list(LOG10_EDGES), counts=counts, never=never)


def get_feature(engine: Engine, settings: Settings, artifact_id: str, sae: str, feature: int) -> WholeFeatureView:
    """One feature. Raises NotFoundError, ConflictError."""
    with open_index(index_file(engine, settings, artifact_id)) as index:
        row = index.whole(sae, [feature])[0]
    near = dict(row.pop("neighbours"))
    labels = read_labels(engine, artifact_id, sae, [feature, *near])
    neighbours = [
        NeighbourView(feature=no, cosine=cosine, label=labels[no].label if no in labels else None)
        for no, cosine in near.items()
    ]
    return WholeFeatureView(**row, neighbours=neighbours, label=labels.get(feature))


def read_labels(engine: Engine, artifact_id: str, sae: str, features: list[int]) -> dict[int, LabelView]:
    """The labels of these features, of those that have one."""
    with transaction(engine) as connection:
        rows = feature_labels.labels_of(connection, artifact_id, sae, features)
    return {feature: LabelView(**row) for feature, row in rows.items()}


def _wanted(engine: Engine, artifact_id: str, query: FeatureQuery) -> Wanted:
    if query.sort == "label" and query.labelled is False:
        raise InvalidInputError(FieldProblem("labelled", "sorted by label, there are only features that have one"))
    labels: dict[int, str] = {}
    if query.sort == "label" or query.labelled is not None or query.q is not None:
        with transaction(engine) as connection:
            labels = feature_labels.all_labels(connection, artifact_id, query.sae)
    return Wanted(
        sae=query.sae,
        sort=query.sort,
        order=query.order or ("asc" if query.sort in _RISING else "desc"),
        q=query.q,
        densities=(query.min_density, query.max_density),
        labelled=query.labelled,
        labels=labels,
        after=_read(query.cursor, query.sort),
        limit=query.limit,
    )


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read(cursor: str | None, sort: Sort) -> Place | None:
    """The place a cursor stands for. Raises InvalidInputError for one that no list in this order gave."""
    if cursor is None:
        return None
    try:
        value, feature = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if isinstance(value, str) == (sort == "label"):
            return value, int(feature)
    except (ValueError, TypeError, binascii.Error):
        pass
    raise InvalidInputError(FieldProblem("cursor", "is not a cursor that this list answered: leave it out"))
