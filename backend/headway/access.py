"""What identifies an installation to its visitors: its token, kept in the data directory, and its short name."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from headway.errors import FieldProblem, SettingsError
from headway.settings import Settings

TOKEN_FILE = "token"


def ensure_token(settings: Settings) -> str:
    """HEADWAY_TOKEN, else the token kept in the data directory (mode 0600), made whole at the first call.

    Any number of processes may call it at once and get the same one. Raises SettingsError for an unusable file.
    """
    if settings.headway_token:
        return settings.headway_token.get_secret_value()
    file = settings.headway_data_dir / TOKEN_FILE
    try:
        if not file.exists():
            _make_token(file)
        token = file.read_text().strip()
    except OSError as error:
        raise SettingsError(FieldProblem("HEADWAY_DATA_DIR", f"{file} cannot be used: {error.strerror}")) from None
    if not token:
        raise SettingsError(FieldProblem("HEADWAY_DATA_DIR", f"{file} is empty: delete it, and a new one is made"))
    return token


def installation_id(settings: Settings) -> str:
    """Eight characters that tell this installation from others on the host; the same for all of its API instances."""
    return hashlib.sha256(os.fsencode(settings.headway_data_dir.resolve())).hexdigest()[:8]


def _make_token(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".token-")
    try:
        with os.fdopen(descriptor, "w") as unfinished:
            unfinished.write(secrets.token_urlsafe(24))
        # a link appears whole or not at all, and never replaces the token another process made meanwhile
        os.link(name, file)
    except FileExistsError:
        return
    finally:
        Path(name).unlink()
