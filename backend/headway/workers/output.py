"""Reads what a job's process prints, line by line, as log lines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE_NAME = "output.log"
MOST_BYTES_A_DRAIN = 64 << 10
LONGEST_LINE = 8000


def read_output(folder: Path, offset: int, *, ended: bool = False) -> tuple[list[dict[str, Any]], int]:
    """Whole lines printed from `offset` on, and the offset after them; an unfinished last line counts once `ended`."""
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST_BYTES_A_DRAIN)
    except FileNotFoundError:
        return [], offset
    whole = len(data) if ended or len(data) == MOST_BYTES_A_DRAIN else data.rfind(b"\n") + 1
    at = datetime.now(UTC)
    lines = [
        # Postgres text holds no NUL
        {"at": at, "level": "output", "text": line.decode(errors="replace").replace("\0", "")[:LONGEST_LINE]}
        for line in data[:whole].replace(b"\r", b"\n").split(b"\n")
        if line.strip()
    ]
    return lines, offset + whole
