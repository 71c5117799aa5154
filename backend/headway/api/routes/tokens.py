"""Named access tokens."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from headway.api.route import Call, Route
from headway.services import tokens
from headway.services.tokens import NewTokenView, TokenRequest, TokensView


def create(call: Call, body: TokenRequest) -> NewTokenView:
    """Make a token."""
    return tokens.create_token(call.api.runtime.engine, body)


def find(call: Call) -> TokensView:
    """Every token."""
    return tokens.list_tokens(call.api.runtime.engine)


async def delete(call: Call, token_id: str) -> web.Response:
    """Revoke a token: here at once, elsewhere for requests within seconds and for open sockets within half a minute."""
    api = call.api
    await api.pool.run(partial(tokens.delete_token, api.runtime.engine, token_id))
    api.gate.forget_tokens()
    api.drop_token(token_id)
    return web.Response(status=204)


_TOKENS = "/api/v1/tokens"
ROUTES = (
    Route(
        method="POST",
        path=_TOKENS,
        role="admin",
        handler=create,
        summary="Make a named token; its secret is shown this once",
        body=TokenRequest,
        answer=NewTokenView,
        status=201,
    ),
    Route(method="GET", path=_TOKENS, role="admin", handler=find, summary="List tokens", answer=TokensView),
    Route(
        method="DELETE",
        path=_TOKENS + "/{token_id}",
        role="admin",
        handler=delete,
        summary="Revoke a token",
        status=204,
    ),
)
