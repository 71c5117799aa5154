"""Problems as the API tells them (RFC 9457), turned into our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.errors import (
    ConflictError,
    FieldProblem,
    ForbiddenError,
    HeadwayError,
    InvalidInputError,
    NoRoomError,
    NotFoundError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)

_ERRORS: Mapping[int, type[HeadwayError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    413: TooLargeError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: NoRoomError,
}


def error_of(status: int, body: Any) -> HeadwayError:
    """The error that an answer means; `body` is its JSON, or anything else when what answered was not Headway."""
    told: Mapping[str, Any] = body if isinstance(body, dict) else {}
    problems = [FieldProblem(entry["field"], entry["message"]) for entry in told.get("errors", ())]
    detail = told.get("detail") or told.get("title") or f"the server answered {status}"
    if problems or status in (400, 415, 422):
        return InvalidInputError(*problems or [FieldProblem("", detail)])
    return _ERRORS.get(status, HeadwayError)(detail)
