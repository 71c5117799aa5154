"""From a request to checked models: unknown names, wrong types and what Postgres cannot hold are refused by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from headway.api.errors import UnsupportedMediaError, field_problems
from headway.errors import FieldProblem, InvalidInputError, NotFoundError

Model = TypeVar("Model", bound=BaseModel)
_PATH_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def path_names(request: web.Request) -> dict[str, str]:
    """The names in the path. Raises NotFoundError for one that nothing can have."""
    names = dict(request.match_info)
    for name in names.values():
        if not _PATH_NAME.fullmatch(name):
            raise NotFoundError(f"there is nothing named {name[:40]!r}")
    return names


def read_query(request: web.Request, model: type[Model] | None) -> Model | None:
    """The query as a model. Raises InvalidInputError that names each wrong, unknown or repeated parameter."""
    known = {field.alias or name for name, field in model.model_fields.items()} if model else set[str]()
    problems = [_unknown(name, known) for name in dict.fromkeys(request.query) if name not in known]
    problems += [FieldProblem(name, "is given twice") for name in known if len(request.query.getall(name, ())) > 1]
    values = {name: value for name, value in request.query.items() if value != ""}
    problems += list(_unstorable(values, ""))
    if problems:
        raise InvalidInputError(*problems)
    try:
        return model.model_validate(values) if model else None
    except ValidationError as error:
        raise field_problems(error) from None


async def read_raw_body(request: web.Request, *, wanted: bool) -> bytes:
    """The body's bytes, at most HEADWAY_MAX_BODY_MB. Raises UnsupportedMediaError when it is not called JSON."""
    raw = await request.read()
    if not wanted:
        if raw.strip() not in (b"", b"{}", b"null"):
            raise InvalidInputError(FieldProblem("", f"{request.method} {request.path} takes no body"))
        return b""
    if request.content_type != "application/json":
        raise UnsupportedMediaError("Send the body as JSON, with the header `Content-Type: application/json`.")
    return raw


def parse_body(raw: bytes, model: type[Model]) -> Model:
    """The body as a model. Raises InvalidInputError that names every wrong field."""
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInputError(FieldProblem("", f"the body is not JSON: {error}")) from None
    if not isinstance(value, dict):
        raise InvalidInputError(FieldProblem("", "the body must be a JSON object"))
    problems = list(_unstorable(value, ""))
    if problems:
        raise InvalidInputError(*problems)
    try:
        return model.model_validate(value, extra="forbid")
    except ValidationError as error:
        raise field_problems(error) from None


def _unknown(name: str, known: set[str]) -> FieldProblem:
    listed = ", ".join(sorted(known))
    return FieldProblem(name, f"there is no such parameter; there are: {listed}" if known else "no parameter is taken")


def _unstorable(value: Any, path: str) -> Iterator[FieldProblem]:
    """What JSON can say but Postgres cannot hold: numbers beyond a double, and the character NUL."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unstorable(name, path)
            yield from _unstorable(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _unstorable(inner, f"{path}.{place}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldProblem(path, "must be a finite number")
    elif isinstance(value, str) and "\x00" in value:
        yield FieldProblem(path, "must not hold the character NUL")
