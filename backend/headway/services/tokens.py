"""Named access tokens: make one (shown once), list, revoke, and find whose a presented one is."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import Engine

from headway.errors import NotFoundError
from headway.services.views import Moment
from headway.storage import tokens
from headway.storage.engine import transaction
from headway.storage.ids import new_id

Role = Literal["viewer", "operator", "admin"]
PREFIX = "hw_"


class TokenRequest(BaseModel):
    """A token to make."""

    name: str = Field(min_length=1, max_length=100, pattern=r"\S", description="Whose or what for.")
    role: Role = Field(description="viewer reads; operator also runs and stops jobs; admin also makes tokens.")
    expires_in_days: float | None = Field(None, gt=0, le=3650, description="Null: it holds until it is deleted.")


class TokenView(BaseModel):
    """A token without its secret."""

    id: str
    name: str
    role: Role
    created_at: Moment
    expires_at: Moment | None


class NewTokenView(TokenView):
    """A token just made: the only time its secret is shown."""

    token: str


class TokensView(BaseModel):
    """All tokens, newest first."""

    items: list[TokenView]


def create_token(engine: Engine, request: TokenRequest) -> NewTokenView:
    """Make a token. The secret is in the answer and nowhere else."""
    token = PREFIX + secrets.token_urlsafe(24)
    days = request.expires_in_days
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with transaction(engine) as connection:
        row = tokens.add_token(
            connection,
            token_id=new_id(),
            name=request.name.strip(),
            role=request.role,
            sha256=hash_of(token),
            expires_at=expires_at,
        )
    return NewTokenView(token=token, **row)


def list_tokens(engine: Engine) -> TokensView:
    """Every token, expired ones too."""
    with transaction(engine) as connection:
        return TokensView(items=[TokenView(**row) for row in tokens.list_tokens(connection)])


def delete_token(engine: Engine, token_id: str) -> None:
    """Revoke a token. Raises NotFoundError."""
    with transaction(engine) as connection:
        if not tokens.delete_token(connection, token_id):
            raise NotFoundError(f"there is no token {token_id}")


def find_by_secret(engine: Engine, token: str) -> TokenView | None:
    """Whose the presented token is; None for a wrong or an expired one."""
    with transaction(engine) as connection:
        row = tokens.find_by_hash(connection, hash_of(token))
    return TokenView(**row) if row else None


def find_by_id(engine: Engine, token_id: str) -> TokenView | None:
    """The token of that id; None when it was revoked or has expired."""
    with transaction(engine) as connection:
        row = tokens.find_by_id(connection, token_id)
    return TokenView(**row) if row else None


def hash_of(token: str) -> bytes:
    """What is stored of a token. A plain hash will do: the secret has 192 bits of its own."""
    return hashlib.sha256(token.encode()).digest()
