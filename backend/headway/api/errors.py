"""Every error as RFC 9457 problem+json, in this one place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from headway.api.route import REQUEST_ID
from headway.errors import FieldProblem, HeadwayError, InvalidInputError, UnauthorizedError

log = structlog.get_logger(__name__)


class UnsupportedMediaError(HeadwayError):
    """The body is not JSON."""

    title = "Unsupported media type"
    status = 415


class TooSlowError(HeadwayError):
    """The body stopped coming."""

    title = "Request timeout"
    status = 408


class TooManyAttemptsError(HeadwayError):
    """Too many wrong tokens came from one address."""

    title = "Too many attempts"
    status = 429


def problem(
    status: int, title: str, detail: str, fields: Sequence[FieldProblem] = (), headers: dict[str, str] | None = None
) -> web.Response:
    """A problem+json response; `fields` become `errors: [{field, message}]`."""
    kind = "urn:headway:problem:" + title.lower().replace(" ", "-")
    body: dict[str, Any] = {"type": kind, "title": title, "status": status, "detail": detail}
    if fields:
        body["errors"] = [{"field": field.field, "message": field.message} for field in fields]
    return web.Response(
        text=json.dumps(body), status=status, content_type="application/problem+json", headers=headers or {}
    )


def field_problems(error: ValidationError, prefix: str = "") -> InvalidInputError:
    """pydantic's findings, each with the dotted path of its field."""
    return InvalidInputError(
        *(
            FieldProblem(".".join([*filter(None, [prefix]), *map(str, found["loc"])]), _message(found))
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        )
    )


def _message(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "there is no such field; check its spelling"
    return str(found["msg"]).removeprefix("Value error, ")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a handler raises as a problem; what nobody foresaw is logged whole and told in brief."""
    try:
        return await handler(request)
    except HeadwayError as error:
        return _of_ours(error)
    except web.HTTPException as error:
        return _of_aiohttp(request, error)
    except ConnectionResetError:
        raise  # the client is gone: nobody is left to answer
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return problem(500, "Internal error", f"Something went wrong here; the log tells of request {_id(request)}.")


def _of_ours(error: HeadwayError) -> web.Response:
    headers: dict[str, str] = {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (429, 503):
        headers["Retry-After"] = "5"
    fields = error.problems if isinstance(error, InvalidInputError) else ()
    return problem(error.status, error.title, str(error), fields, headers)


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return problem(error.status, HTTPStatus(error.status).phrase, _detail(request, error), headers=headers)


def _detail(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return f"{request.path} takes {allowed}, not {request.method}."
    if error.status == 404:
        return f"There is nothing at {request.path}; /api/docs lists what there is."
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return "The body is larger than HEADWAY_MAX_BODY_MB allows."
    return error.text or error.reason


def _id(request: web.Request) -> str:
    return request.get(REQUEST_ID, "-")
