"""Static files: the built dashboard, and the API's documentation from the package `swagger_ui_bundle`."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

import headway
from headway.api.route import Call
from headway.errors import NotFoundError, UnauthorizedError

DASHBOARD = Path(headway.__file__).resolve().parents[2] / "frontend" / "dist"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_DOCS_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})

_FILE_KINDS = frozenset({"css", "html", "ico", "js", "json", "map", "png", "svg", "txt", "webmanifest", "woff2", "xml"})

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Headway</title>
<p>Headway runs, but its dashboard is not built yet: run <code>make setup</code> and reload.
The API is described at <a href="/api/docs">/api/docs</a>.</p></html>"""

_DOCS_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Headway API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png"><link rel="stylesheet" href="/api/docs/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script></html>"""

_DOCS_START = """SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#swagger-ui", validatorUrl: null, deepLinking: true,
});
"""


async def page(call: Call) -> web.StreamResponse:
    """A file of the dashboard, or its one page for every other address; `?token=` becomes the cookie."""
    if "token" in call.request.query:
        return await _exchange_token(call)
    path = call.request.match_info["path"]
    file = _inside(DASHBOARD, path)
    if file is not None and file.is_file():
        # the build names what stands in assets/ by its content
        cache = _FOR_EVER if path.startswith("assets/") else _ASK_AGAIN
        return web.FileResponse(file, headers={"Cache-Control": cache})
    # a page of the dashboard may have a dot in its address (/submit/sae.train), a file of the build always has its kind
    if path.startswith("assets/") or path.rpartition(".")[2] in _FILE_KINDS:
        raise NotFoundError(f"there is no file /{path}")
    index = DASHBOARD / "index.html"
    if index.is_file():
        return web.FileResponse(index, headers={"Cache-Control": _ASK_AGAIN})
    return web.Response(text=_NOT_BUILT, content_type="text/html", headers={"Cache-Control": _ASK_AGAIN})


async def docs_page(call: Call) -> web.StreamResponse:
    """Swagger UI, from this host alone."""
    return web.Response(text=_DOCS_PAGE, content_type="text/html")


async def docs_file(call: Call, file: str) -> web.StreamResponse:
    """A file of Swagger UI."""
    if file == "start.js":
        return web.Response(text=_DOCS_START, content_type="text/javascript")
    if file not in _DOCS_FILES:
        raise NotFoundError(f"there is no file {file}")
    from swagger_ui_bundle import swagger_ui_path

    return web.FileResponse(Path(swagger_ui_path) / file, headers={"Cache-Control": "max-age=3600"})


async def _exchange_token(call: Call) -> web.StreamResponse:
    request = call.request
    rest = request.rel_url.without_query_params("token")
    # one slash at the start: two would name another host
    response = web.Response(
        status=303, headers={"Location": "/" + str(rest).lstrip("/\\"), "Cache-Control": "no-store"}
    )
    try:
        identity = await call.api.gate.sign_in(request, request.query["token"])
    except UnauthorizedError:
        return response  # the page says that nobody is signed in
    call.api.gate.set_cookie(request, response, identity)
    return response


def _inside(folder: Path, path: str) -> Path | None:
    try:
        file = (folder / path).resolve()
    except (OSError, ValueError):
        return None
    return file if file.is_relative_to(folder.resolve()) else None
