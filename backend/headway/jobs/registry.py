"""Finds kinds: every folder in `jobs/kinds/` and every `headway.kinds` entry point of installed packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

from headway.errors import FieldProblem, InvalidInputError, KindError
from headway.jobs import kinds
from headway.jobs.kind import Kind


@cache
def all_kinds() -> Mapping[str, Kind]:
    """Every kind by name, sorted. Raises KindError for a folder without KIND or a name taken twice."""
    found: dict[str, Kind] = {}
    for origin, kind in _discover():
        if not isinstance(kind, Kind):
            raise KindError(f"{origin} has no KIND of type headway.jobs.kind.Kind: declare one in its __init__.py")
        if kind.name in found:
            raise KindError(f"the kind {kind.name} is declared twice, the second time in {origin}: rename one of them")
        found[kind.name] = kind
    return MappingProxyType(dict(sorted(found.items())))


def get_kind(name: str) -> Kind:
    """The kind of that name. Raises InvalidInputError that lists what there is."""
    kind = all_kinds().get(name)
    if kind is None:
        known = ", ".join(all_kinds())
        raise InvalidInputError(FieldProblem("kind", f"there is no kind {name!r}; there are: {known}"))
    return kind


def upload_patterns() -> Mapping[str, frozenset[str]]:
    """Which files may be uploaded: by type of artifact, the patterns of all inputs that take it."""
    found: dict[str, frozenset[str]] = {}
    for spec in (spec for kind in all_kinds().values() for spec in kind.inputs):
        if spec.upload:
            found[spec.type] = found.get(spec.type, frozenset()) | frozenset(spec.upload["patterns"])
    return found


def _discover() -> Iterator[tuple[str, object]]:
    for module in pkgutil.iter_modules(kinds.__path__, kinds.__name__ + "."):
        yield module.name, getattr(importlib.import_module(module.name), "KIND", None)
    for entry in entry_points(group="headway.kinds"):
        yield entry.value, entry.load()
