"""Makes what a job says storable: Postgres text and JSON hold no NUL and no lone surrogates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def clean_text(text: str) -> str:
    """The text without NUL; what is no Unicode becomes `?`."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def clean(value: Any) -> Any:
    """The same for every text within a JSON value."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(str(name)): clean(each) for name, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list):
        return [clean(each) for each in cast("list[Any]", value)]
    return value
