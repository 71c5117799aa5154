"""The Idempotency-Key header: the same key makes the same job once."""

from __future__ import annotations

from aiohttp import web

from headway.errors import FieldProblem, InvalidInputError

LONGEST_KEY = 200


def idempotency_key(request: web.Request) -> str | None:
    """The key of a submission; None without one. Raises InvalidInputError that names the header."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise InvalidInputError(FieldProblem("Idempotency-Key", f"must be 1 to {LONGEST_KEY} printable characters"))
    return key
