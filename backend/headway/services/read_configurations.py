"""Read saved configurations: a list, one, several side by side."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.services.paging import next_cursor, read_cursor
from headway.services.views import Moment, View
from headway.storage import configurations
from headway.storage.engine import transaction
from headway.storage.rows import Row

MOST_COMPARED = 8
Figures = dict[str, float | None]


class ConfigurationView(View):
    """A saved configuration. `out_of_sample` are the figures of the walk-forward, or of the held-out candles.

    `ratio` is the score out of sample over that in sample; `warning` says so if it looks like over-fitting.
    """

    id: str
    job_id: str | None
    name: str
    kind: str
    strategy: str
    market: str
    parameters: dict[str, float]
    score_name: str
    score: float
    ratio: float | None
    warning: str | None
    seed: int
    in_sample: Figures
    out_of_sample: Figures | None
    active: bool
    activated_at: Moment | None
    created_at: Moment


class WholeConfigurationView(ConfigurationView):
    """A configuration with the job's config and all results: figures, windows, curves by part."""

    config: dict[str, Any]
    results: dict[str, Any]


class ConfigurationPage(View):
    """A page of configurations, newest first."""

    items: list[ConfigurationView]
    next_cursor: str | None


class ComparedConfigurationsView(View):
    """Configurations side by side, in the order asked for; `differing` names the config's fields that differ."""

    items: list[WholeConfigurationView]
    differing: list[str]


class ConfigurationQuery(BaseModel):
    """Filters of the list."""

    model_config = ConfigDict(extra="forbid")

    strategy: str | None = None
    market: str | None = None
    job_id: str | None = None
    active: bool | None = None
    cursor: str | None = None
    limit: int = Field(50, ge=1, le=500)


class ComparisonQuery(BaseModel):
    """Which to compare."""

    model_config = ConfigDict(extra="forbid")

    ids: str = Field(description=f"2 to {MOST_COMPARED} ids, with commas between.")


def list_configurations(engine: Engine, query: ConfigurationQuery) -> ConfigurationPage:
    """Configurations, newest first."""
    filters = query.model_dump(exclude={"cursor"})
    with transaction(engine) as connection:
        rows = configurations.list_configurations(connection, **filters, before=read_cursor(query.cursor))
    return ConfigurationPage(
        items=[ConfigurationView(**row) for row in rows], next_cursor=next_cursor(rows, query.limit)
    )


def get_configuration(engine: Engine, configuration_id: str) -> WholeConfigurationView:
    """One configuration. Raises NotFoundError."""
    with transaction(engine) as connection:
        row = configurations.get_configurations(connection, [configuration_id]).get(configuration_id)
    return WholeConfigurationView(**found(row, configuration_id))


def compare_configurations(engine: Engine, query: ComparisonQuery) -> ComparedConfigurationsView:
    """Several side by side. Raises InvalidInputError, NotFoundError."""
    ids = list(dict.fromkeys(filter(None, query.ids.split(","))))
    if not 2 <= len(ids) <= MOST_COMPARED:
        raise InvalidInputError(FieldProblem("ids", f"name 2 to {MOST_COMPARED} different ids, not {len(ids)}"))
    with transaction(engine) as connection:
        rows = configurations.get_configurations(connection, ids)
    items = [WholeConfigurationView(**found(rows.get(each), each)) for each in ids]
    names = dict.fromkeys(name for item in items for name in item.config)
    differing = [name for name in names if any(item.config.get(name) != items[0].config.get(name) for item in items)]
    return ComparedConfigurationsView(items=items, differing=differing)


def found(row: Row | None, configuration_id: str) -> Row:
    """The row. Raises NotFoundError."""
    if row is None:
        raise NotFoundError(f"there is no configuration {configuration_id}")
    return row
