"""What a kind is: one folder that declares a config, phases, resources, inputs, outputs, and where its `run` is.

Importing a kind's package must stay cheap: `run` is an import string, so no heavy library is loaded to list kinds,
to make a form or to check a config.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headway.domain.plan import PhaseSpec
from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.forecast import Forecast, Metas
from headway.jobs.uploads import Upload

if TYPE_CHECKING:
    from headway.jobs.context import JobContext

Queue = Literal["gpu", "cpu", "io"]
Family = Literal["trainings", "models", "extractions", "datasets"]
REFERENCE_PATTERN = r"^(artifact:[a-z0-9]{12}|job:[A-Za-z0-9_.-]{1,64}/[a-z][a-z0-9_]{0,31})$"


class KindConfig(BaseModel):
    """Base of every kind's config: unknown fields are refused, and nothing changes once it is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def artifact_input(
    artifact_type: str, *, title: str, description: str, optional: bool = False, upload: Upload | None = None
) -> Any:
    """Declare a config field that names an input artifact: `artifact:<id>` or `job:<id or key>/<output>`.

    At run time `job.input("<field name>")` is the folder it lies in. Use it as the field's default:
    `model: str = artifact_input("model", title="Model", description="...")`; an optional one is `str | None`.
    With `upload` a person may bring such files here: the form offers it, and the command line takes `field=@path`.
    """
    extra: dict[str, Any] = {"x-input": artifact_type} | ({"x-upload": upload.described()} if upload else {})
    return Field(
        default=None if optional else ...,
        title=title,
        description=description,
        pattern=REFERENCE_PATTERN,
        json_schema_extra=extra,
    )


@dataclass(frozen=True, slots=True)
class Resources:
    """What one run of the kind uses at most; the queue and the claim follow from it.

    A GPU is one job's alone unless all that have it `share_gpu`. With `gpus_optional` a run takes as many of its `gpus`
    as its host has, and none where there is none.
    """

    gpus: int = 0
    gpus_optional: bool = False
    share_gpu: bool = False
    cpu_threads: int = 1
    memory_mb: int = 512


@dataclass(frozen=True, slots=True)
class Input:
    """A config field that names an artifact of a type."""

    name: str
    type: str
    title: str
    optional: bool
    upload: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An artifact a kind makes; it has an id from the moment its job is submitted."""

    name: str
    type: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job. `run` is `package.module:function`, called as `run(config, job)` in a process of its own.

    `family` names the channel family its jobs are pushed on beside `jobs/`; `secrets` are environment variables handed
    to its process alone; `requires` are the modules that must be installed, from the extra named `extra`.
    A kind with `checkpoints` can be paused and goes on after a crash where it was. Phase weights are learned from
    finished jobs unless `fixed_weights`. `forecast` is `package.module:function`, called as
    `forecast(config, metas)` wherever a form is filled in, so it is quick and loads nothing heavy.
    """

    name: str
    title: str
    description: str
    queue: Queue
    phases: tuple[PhaseSpec, ...]
    config: type[KindConfig]
    run: str
    resources: Resources = field(default_factory=Resources)
    outputs: tuple[Output, ...] = ()
    family: Family | None = None
    secrets: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    checkpoints: bool = False
    fixed_weights: bool = False
    forecast: str = ""

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the config; it makes the form."""
        return self.config.model_json_schema()

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The config fields that name artifacts, with their types."""
        found: list[Input] = []
        for name, info in self.config.model_fields.items():
            extra = cast("Mapping[str, object]", info.json_schema_extra or {})
            if "x-input" in extra:
                upload = cast("dict[str, Any] | None", extra.get("x-upload"))
                found.append(Input(name, str(extra["x-input"]), info.title or name, not info.is_required(), upload))
        return tuple(found)

    @cached_property
    def unavailable_reason(self) -> str | None:
        """Why it cannot run in this installation, with the command that mends it; None when it can."""
        missing = [module for module in self.requires if importlib.util.find_spec(module) is None]
        if not missing:
            return None
        return f"needs {', '.join(missing)}: install it with `pip install 'headway[{self.extra}]'`"

    def checked_config(self, config: dict[str, Any], *, prefix: str = "config") -> KindConfig:
        """Validate a config. Raises InvalidInputError that names every wrong field."""
        try:
            return self.config.model_validate(config)
        except ValidationError as error:
            raise InvalidInputError(
                *(
                    FieldProblem(".".join([prefix, *map(str, problem["loc"])]), problem["msg"])
                    for problem in error.errors(include_url=False)
                )
            ) from None

    def load_run(self) -> Callable[[KindConfig, JobContext], None]:
        """Import the function that does the work (only in the job's own process)."""
        return _imported(self.run)

    def forecast_of(self, config: KindConfig, metas: Metas) -> Forecast:
        """What a run with this config is going to take; empty for a kind that cannot tell."""
        return _imported(self.forecast)(config, metas) if self.forecast else Forecast()


def _imported(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
