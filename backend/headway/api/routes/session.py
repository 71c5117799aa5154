"""The browser's session: who it is, signing in by token, signing out."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, Field

from headway import __version__
from headway.api.dispatch import json_response
from headway.api.route import Call, Identity, Route


class SignInRequest(BaseModel):
    """A token to be exchanged for the cookie."""

    token: str = Field(min_length=1, max_length=500)


class SessionView(BaseModel):
    """Who asks, and what answers."""

    role: str
    name: str
    installation: str
    version: str


async def show(call: Call) -> web.Response:
    """The role behind the request."""
    return json_response(_view(call, call.identity))


async def sign_in(call: Call, body: SignInRequest) -> web.Response:
    """Exchange a token for the cookie."""
    identity = await call.api.gate.sign_in(call.request, body.token.strip())
    response = json_response(_view(call, identity))
    call.api.gate.set_cookie(call.request, response, identity)
    return response


async def sign_out(call: Call) -> web.Response:
    """Take the cookie back."""
    response = web.Response(status=204)
    call.api.gate.drop_cookie(response)
    return response


def _view(call: Call, identity: Identity) -> SessionView:
    return SessionView(
        role=identity.role, name=identity.name, installation=call.api.gate.installation, version=__version__
    )


_SESSION = "/api/v1/session"
ROUTES = (
    Route(method="GET", path=_SESSION, role="viewer", handler=show, summary="Who asks", answer=SessionView),
    Route(
        method="POST",
        path=_SESSION,
        role="open",
        handler=sign_in,
        summary="Sign in: exchange a token for a cookie",
        body=SignInRequest,
        answer=SessionView,
    ),
    Route(method="DELETE", path=_SESSION, role="open", handler=sign_out, summary="Sign out", status=204),
)
