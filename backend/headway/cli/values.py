"""`key=value` on the command line, as a config."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from headway.errors import FieldProblem, InvalidInputError


def parse_config(arguments: Iterable[str]) -> dict[str, Any]:
    """Read `lr=0.1 fail_at.step=3` as `{"lr": 0.1, "fail_at": {"step": 3}}`.

    A value is JSON where it parses as such, else text; dots go into objects. Raises InvalidInputError naming each
    argument that cannot be read or that contradicts an earlier one.
    """
    config: dict[str, Any] = {}
    problems = [problem for argument in arguments if (problem := _put(config, argument))]
    if problems:
        raise InvalidInputError(*problems)
    return config


def parse_value(text: str) -> Any:
    """JSON where it parses, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(config: dict[str, Any], argument: str) -> FieldProblem | None:
    path, equals, value = argument.partition("=")
    *outer, last = path.split(".")
    if not equals or not all([*outer, last]):
        return FieldProblem(argument, "is not key=value, such as lr=0.001 or fail_at.step=3")
    inside = config
    for key in outer:
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            return FieldProblem(f"config.{path}", f"{key} has a value already, so nothing fits inside it")
    if last in inside:
        return FieldProblem(f"config.{path}", "is given twice")
    inside[last] = parse_value(value)
    return None
