"""Named access tokens; only their hashes are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from headway.storage.rows import Row, many, one

_COLUMNS = "id, name, role, created_at, expires_at"

_ADD = text(
    "INSERT INTO tokens (id, name, role, sha256, expires_at) VALUES (:id, :name, :role, :sha256, :expires_at) "
    f"RETURNING {_COLUMNS}"
)
_LIST = text(f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at DESC, id")
_DELETE = text("DELETE FROM tokens WHERE id = :id")
_VALID = "(expires_at IS NULL OR expires_at > now())"
_BY_HASH = text(f"SELECT {_COLUMNS} FROM tokens WHERE sha256 = :sha256 AND {_VALID}")
_BY_ID = text(f"SELECT {_COLUMNS} FROM tokens WHERE id = :id AND {_VALID}")


def add_token(
    connection: Connection, *, token_id: str, name: str, role: str, sha256: bytes, expires_at: datetime | None
) -> Row:
    """Store a token by its hash."""
    values = {"id": token_id, "name": name, "role": role, "sha256": sha256, "expires_at": expires_at}
    return many(connection.execute(_ADD, values))[0]


def list_tokens(connection: Connection) -> list[Row]:
    """Every token, newest first, expired ones too."""
    return many(connection.execute(_LIST))


def delete_token(connection: Connection, token_id: str) -> bool:
    """Forget a token; whether there was one."""
    return connection.execute(_DELETE, {"id": token_id}).rowcount > 0


def find_by_hash(connection: Connection, sha256: bytes) -> Row | None:
    """The token of that hash, unless it has expired."""
    return one(connection.execute(_BY_HASH, {"sha256": sha256}))


def find_by_id(connection: Connection, token_id: str) -> Row | None:
    """The token of that id, unless it has expired."""
    return one(connection.execute(_BY_ID, {"id": token_id}))
