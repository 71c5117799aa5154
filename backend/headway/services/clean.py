"""Makes what a job says storable and fit to be shown: no NUL, no lone surrogates, no secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from headway.logs import redact

Cleaner = Callable[[str], str]


def storable(text: str) -> str:
    """The text as Postgres holds it: without NUL; what is no Unicode becomes `?`."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def cleaner(secrets: Sequence[str]) -> Cleaner:
    """Makes text storable and hides these secrets, and what looks like one."""
    return lambda text: redact(storable(text), secrets)


def clean(value: Any, text: Cleaner) -> Any:
    """The same for every text within a JSON value."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): clean(each, text) for name, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list):
        return [clean(each, text) for each in cast("list[Any]", value)]
    return value
