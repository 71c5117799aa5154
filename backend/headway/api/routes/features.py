"""Features of SAEs: what an index holds of them, and what they are called."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.errors import NotFoundError
from headway.services import label_features, read_features
from headway.services.label_features import LabelRequest, ModelLabelsRequest, ModelLabelsView
from headway.services.read_features import (
    DensitiesView,
    FeatureIndexView,
    FeatureQuery,
    FeaturesPage,
    LabelView,
    WholeFeatureView,
)


def show_index(call: Call, artifact_id: str) -> FeatureIndexView:
    """The SAEs of an index."""
    return read_features.read_index(call.api.runtime.engine, call.api.runtime.settings, artifact_id)


def find(call: Call, artifact_id: str, query: FeatureQuery) -> FeaturesPage:
    """A page of an SAE's features."""
    return read_features.list_features(call.api.runtime.engine, call.api.runtime.settings, artifact_id, query)


def densities(call: Call, artifact_id: str, sae: str) -> DensitiesView:
    """How dense an SAE's features fire."""
    return read_features.read_densities(call.api.runtime.engine, call.api.runtime.settings, artifact_id, sae)


def show(call: Call, artifact_id: str, sae: str, feature: str) -> WholeFeatureView:
    """One feature."""
    runtime = call.api.runtime
    return read_features.get_feature(runtime.engine, runtime.settings, artifact_id, sae, _number(feature))


def label(call: Call, artifact_id: str, sae: str, feature: str, body: LabelRequest) -> LabelView:
    """Call a feature something."""
    runtime = call.api.runtime
    return label_features.set_label(
        runtime.engine, runtime.settings, artifact_id, sae, _number(feature), body.label, author=call.identity.name
    )


def unlabel(call: Call, artifact_id: str, sae: str, feature: str) -> None:
    """Take a label away."""
    label_features.delete_label(call.api.runtime.engine, artifact_id, sae, _number(feature))


def label_by_model(call: Call, artifact_id: str, sae: str, body: ModelLabelsRequest) -> ModelLabelsView:
    """Let the model of HEADWAY_LABEL_ENDPOINT label some."""
    runtime = call.api.runtime
    return label_features.label_by_model(runtime.engine, runtime.settings, artifact_id, sae, body)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**31):
        raise NotFoundError(f"there is no feature {text}: features are numbered from 0")
    return int(text)


_ARTIFACT = "/api/v1/artifacts/{artifact_id}"
_SAE = _ARTIFACT + "/features/{sae}"
_FEATURE = _SAE + "/{feature}"
ROUTES = (
    Route(
        method="GET",
        path=_ARTIFACT + "/feature-index",
        role="viewer",
        handler=show_index,
        summary="The SAEs of a feature index, if it lies on this instance's host",
        answer=FeatureIndexView,
    ),
    Route(
        method="GET",
        path=_ARTIFACT + "/features",
        role="viewer",
        handler=find,
        summary="List, search and sort the features of an SAE",
        query=FeatureQuery,
        answer=FeaturesPage,
    ),
    Route(
        method="GET",
        path=_SAE,
        role="viewer",
        handler=densities,
        summary="Histogram of the firing densities of an SAE's features",
        answer=DensitiesView,
    ),
    Route(
        method="GET",
        path=_FEATURE,
        role="viewer",
        handler=show,
        summary="Read a feature: examples by band, tokens, logit lens, neighbours",
        answer=WholeFeatureView,
    ),
    Route(
        method="PUT",
        path=_FEATURE + "/label",
        role="operator",
        handler=label,
        summary="Label a feature by hand",
        body=LabelRequest,
        answer=LabelView,
    ),
    Route(
        method="DELETE",
        path=_FEATURE + "/label",
        role="operator",
        handler=unlabel,
        summary="Take a feature's label away",
        status=204,
    ),
    Route(
        method="POST",
        path=_SAE + "/labels",
        role="operator",
        handler=label_by_model,
        summary="Let the model of HEADWAY_LABEL_ENDPOINT label features; what a person labelled stays",
        body=ModelLabelsRequest,
        answer=ModelLabelsView,
    ),
)
