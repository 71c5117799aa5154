"""What holds for every request: an id, one line of log, its duration, security headers, and CORS for named origins."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.api.route import REQUEST_ID
from headway.api.state import API

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

#: The dashboard's components set styles from script; the form's validator compiles a kind's schema to a function.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = structlog.get_logger(__name__)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, log it when it is over, and count how long it took."""
    given = request.headers.get("X-Request-ID", "")
    request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        response = await handler(request)
        if not _lasts(response):
            _note(request, response.status, time.perf_counter() - started)
    return response


def _lasts(response: web.StreamResponse) -> bool:
    """Whether it was a stream, whose duration tells nothing of this server's speed."""
    return isinstance(response, web.WebSocketResponse) or response.content_type == "text/event-stream"


def _note(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unmatched"
    request.app[API].telemetry.requests.labels(route, request.method, str(status)).observe(seconds)
    say = log.debug if request.path in _QUIET else log.warning if status >= 500 else log.info
    say("request", method=request.method, path=request.path, status=status, ms=round(seconds * 1000, 2))


@web.middleware
async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let pages of HEADWAY_ALLOWED_ORIGINS ask what they may; all others hear that there is no such method."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers and _named_origin(request):
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
                "Access-Control-Max-Age": "600",
            },
        )
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every response, streams included."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = request.get(REQUEST_ID, "")
    if request.path.startswith(("/api/", "/runs/")):
        response.headers.setdefault("Cache-Control", "no-store")
    origin = _named_origin(request)
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["Vary"] = "Origin"


def _named_origin(request: web.Request) -> str | None:
    origin = request.headers.get("Origin")
    return origin if origin in request.app[API].runtime.settings.allowed_origins else None
