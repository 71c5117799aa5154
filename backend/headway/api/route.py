"""What a route is: one row of the table from which aiohttp's routes, the roles and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web
from pydantic import BaseModel

if TYPE_CHECKING:
    from headway.api.state import Api

Access = Literal["open", "viewer", "operator", "admin"]
RANKS: dict[str, int] = {"open": 0, "viewer": 1, "operator": 2, "admin": 3}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a role, the name of the token, and the id of the token's row (None: the installation's own)."""

    role: Access
    name: str = ""
    token_id: str | None = None

    def may(self, access: Access) -> bool:
        """Whether this role reaches as far as `access`."""
        return RANKS[self.role] >= RANKS[access]


ANYBODY = Identity("open")
REQUEST_ID = web.RequestKey("request_id", str)


@dataclass(frozen=True, slots=True)
class Call:
    """What every handler gets beside its path names, `query` and `body`."""

    api: Api
    identity: Identity
    request: web.Request


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path, and the least role it needs.

    A plain `handler` may block: it runs in the work pool and answers a model (or None: 204). An async one answers a
    response itself. Both are called with a Call, then by name with the path's names, `query` and `body`. An async one
    that is `streamed` reads the body itself, as it comes.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    role: Access
    handler: Callable[..., Any]
    summary: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    documented: bool = True
    free_query: bool = False
    streamed: bool = False
