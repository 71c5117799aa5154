"""Read which kinds there are, with the schema that makes their form."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Resources
from headway.jobs.registry import all_kinds
from headway.services.views import View


class AcceptedView(View):
    """Which files a person may bring for a field: glob patterns of their names, and whether a folder of them."""

    patterns: list[str]
    folder: bool


class InputView(View):
    """A config field that names an artifact."""

    name: str
    type: str
    title: str
    optional: bool
    upload: AcceptedView | None


class OutputView(View):
    """An artifact the kind makes."""

    name: str
    type: str
    title: str


class KindView(View):
    """A kind of job."""

    name: str
    title: str
    description: str
    queue: str
    phases: list[PhaseSpec]
    resources: Resources
    inputs: list[InputView]
    outputs: list[OutputView]
    config_schema: dict[str, Any] = Field(serialization_alias="schema")
    can_pause: bool
    available: bool
    unavailable_reason: str | None


class KindsView(View):
    """All kinds, by name."""

    items: list[KindView]


def list_kinds() -> KindsView:
    """All kinds, by name."""
    return KindsView(items=[_view(kind) for kind in all_kinds().values()])


def _view(kind: Kind) -> KindView:
    return KindView(
        name=kind.name,
        title=kind.title,
        description=kind.description,
        queue=kind.queue,
        phases=list(kind.phases),
        resources=kind.resources,
        inputs=[InputView.model_validate(asdict(each)) for each in kind.inputs],
        outputs=[OutputView(**asdict(each)) for each in kind.outputs],
        config_schema=kind.schema,
        can_pause=kind.checkpoints,
        available=kind.unavailable_reason is None,
        unavailable_reason=kind.unavailable_reason,
    )
