"""Cursors of lists: opaque text that holds the (created_at, id) of the last row seen."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from headway.errors import FieldProblem, InvalidInputError
from headway.storage.rows import Row


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The place a cursor stands for. Raises InvalidInputError for one that no list gave."""
    if not cursor:
        return None
    try:
        at, _, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return datetime.fromisoformat(at), row_id
    except (ValueError, binascii.Error):
        raise InvalidInputError(FieldProblem("cursor", "is not a cursor that a list answered: leave it out")) from None


def next_cursor(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor after these rows; None when they were the last (fewer than `limit`)."""
    if len(rows) < limit:
        return None
    last = rows[-1]
    return base64.urlsafe_b64encode(f"{last['created_at'].isoformat()}|{last['id']}".encode()).decode()
