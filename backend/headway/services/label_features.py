"""Label features: a person's words, or a model's when it is asked to."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Engine

from headway.domain.feature_label import LONGEST_LABEL, Example, label_messages, label_of
from headway.errors import NotFoundError, UnavailableError
from headway.services.ask_labeller import Labeller, LabellerError, labeller_of
from headway.services.feature_index import Row, open_index
from headway.services.read_features import LabelView, index_file, read_labels
from headway.services.views import View
from headway.settings import Settings
from headway.storage import feature_labels
from headway.storage.engine import transaction

#: A call asks for so many at once, and so many calls may be under way in a process: threads that wait are bounded.
MOST_FEATURES = 8
MOST_CALLS = 2
EXAMPLES_SHOWN = 12
PROMOTED_SHOWN = 10

_calls = BoundedSemaphore(MOST_CALLS)


class LabelRequest(BaseModel):
    """What to call a feature."""

    label: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_LABEL)]


class ModelLabelsRequest(BaseModel):
    """Which features the model shall label; what a person labelled stays as it is."""

    features: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1, max_length=MOST_FEATURES)


class ModelLabelView(View):
    """What a feature is called now, or why the model gave it no label."""

    feature: int
    label: LabelView | None
    error: str | None


class ModelLabelsView(View):
    """In the order asked for."""

    items: list[ModelLabelView]


def set_label(
    engine: Engine, settings: Settings, artifact_id: str, sae: str, feature: int, label: str, *, author: str
) -> LabelView:
    """Call a feature something. Raises NotFoundError, ConflictError."""
    with open_index(index_file(engine, settings, artifact_id)) as index:
        index.whole(sae, [feature])
    with transaction(engine) as connection:
        feature_labels.set_labels(connection, artifact_id, sae, {feature: label}, source="hand", author=author)
    return read_labels(engine, artifact_id, sae, [feature])[feature]


def delete_label(engine: Engine, artifact_id: str, sae: str, feature: int) -> None:
    """Take a feature's label away. Raises NotFoundError when it has none."""
    with transaction(engine) as connection:
        if not feature_labels.delete_label(connection, artifact_id, sae, feature):
            raise NotFoundError(f"feature {feature} of {sae} has no label")


def label_by_model(
    engine: Engine, settings: Settings, artifact_id: str, sae: str, request: ModelLabelsRequest
) -> ModelLabelsView:
    """Let the model label features. Raises ConflictError (no model is set), NotFoundError, UnavailableError (busy)."""
    labeller = labeller_of(settings)
    features = list(dict.fromkeys(request.features))
    with open_index(index_file(engine, settings, artifact_id)) as index:
        rows = index.whole(sae, features)
    held = read_labels(engine, artifact_id, sae, features)
    open_rows = [row for row in rows if row["feature"] not in held or held[row["feature"]].source == "model"]
    told = _ask_all(labeller, open_rows)
    labels = {feature: label for feature, label in told.items() if not isinstance(label, LabellerError)}
    with transaction(engine) as connection:
        feature_labels.set_labels(connection, artifact_id, sae, labels, source="model", author=labeller.model)
    held = read_labels(engine, artifact_id, sae, features)
    errors = {feature: str(error) for feature, error in told.items() if isinstance(error, LabellerError)}
    return ModelLabelsView(
        items=[ModelLabelView(feature=no, label=held.get(no), error=errors.get(no)) for no in features]
    )


def _ask_all(labeller: Labeller, rows: Sequence[Row]) -> dict[int, str | LabellerError]:
    if not _calls.acquire(blocking=False):
        raise UnavailableError("Labels are being asked for already: try again in a few seconds.")
    try:
        with ThreadPoolExecutor(MOST_FEATURES) as threads:
            told = threads.map(partial(_ask, labeller), rows)
            return {row["feature"]: label for row, label in zip(rows, told, strict=True)}
    finally:
        _calls.release()


def _ask(labeller: Labeller, row: Row) -> str | LabellerError:
    examples: list[Example] = [(example["tokens"], example["activations"]) for example in _spread(row["examples"])]
    if not examples:
        return LabellerError("it never fires: there is nothing to label it by")
    logits: list[tuple[str, float]] = row["promoted"] or []
    promoted = [token for token, _ in logits[:PROMOTED_SHOWN]]
    try:
        label = label_of(labeller.ask(label_messages(examples, promoted)))
    except LabellerError as error:
        return error
    return label or LabellerError(f"{labeller.model} answered without a label")


def _spread(examples: Sequence[Row]) -> list[Row]:
    """Examples of every band, the first of each first."""
    return sorted(examples, key=lambda example: example["rank"])[:EXAMPLES_SHOWN]
