"""The OpenAPI document, made from the route table and the pydantic models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from headway import __version__
from headway.api.route import Route

_REF = "#/components/schemas/{model}"
_Mode = Literal["validation", "serialization"]


class FieldError(BaseModel):
    """What is wrong with one field, by its dotted path."""

    field: str
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of all documented routes."""
    shown = [route for route in routes if route.documented]
    references, definitions = models_json_schema(_models(shown), ref_template=_REF)
    schemas: dict[str, Any] = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references, schemas)
    for route in shown:
        if route.query is not None:
            schemas.pop(_name(references[route.query, "validation"]), None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headway", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(routes: Sequence[Route]) -> list[tuple[type[BaseModel], _Mode]]:
    wanted: dict[tuple[type[BaseModel], _Mode], None] = {(Problem, "serialization"): None}
    for route in routes:
        for model in (route.query, route.body):
            if model is not None:
                wanted[model, "validation"] = None
        if route.answer is not None:
            wanted[route.answer, "serialization"] = None
    return list(wanted)


def _operation(route: Route, references: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route)],
        "x-role": route.role,
        "security": [] if route.role == "open" else [{"token": []}],
        "parameters": [*_path_parameters(route), *_query_parameters(route, references, schemas)],
        "responses": {
            str(route.status): _answer(route, references),
            "default": {
                "description": "What went wrong",
                "content": {"application/problem+json": {"schema": references[Problem, "serialization"]}},
            },
        },
    }
    if route.body is not None:
        content = {"application/json": {"schema": references[route.body, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.streamed:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def operation_id(route: Route) -> str:
    """A name for the operation, from its method and path: `post_jobs_job_id_cancel`."""
    path = re.sub(r"^/api/v1", "", route.path)
    return "_".join([route.method.lower(), *re.findall(r"\w+", path)])


def _answer(route: Route, references: Any) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "Done"}
    return {
        "description": "Done",
        "content": {"application/json": {"schema": references[route.answer, "serialization"]}},
    }


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route, references: Any, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = schemas[_name(references[route.query, "validation"])]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": described}
        for name, described in schema["properties"].items()
    ]


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _tag(route: Route) -> str:
    return route.path.removeprefix("/api/v1").strip("/").partition("/")[0]
