"""The folders of an installation: the data directory, which is ours alone, and a short one for sockets."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

from headway.errors import LocalServiceError
from headway.local.account import ACCOUNT, may_enter, service_account

_LOCK_FILE = "headway.lock"
_OURS = (_LOCK_FILE, "jobs", "token", "workers")
# Not XDG_RUNTIME_DIR: that one vanishes when the user logs out, and Postgres' socket with it.
_RUNTIME_PARENT = Path("/tmp")


def prepare_data_dir(data_dir: Path, account: str | None = None) -> None:
    """Make the data directory, private, or for an `account` that must reach its own folder in it, passable (0711).

    Raises LocalServiceError as `check_data_dir` does. Nothing outside the data directory is ever opened up.
    """
    check_data_dir(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o711 if account else 0o700)
        for name in ("run", "logs"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LocalServiceError(_unusable(data_dir, error.strerror or "unknown")) from None
    if account:
        _require_reachable(data_dir)


def check_data_dir(data_dir: Path) -> None:
    """Change nothing; raise LocalServiceError if the folder holds somebody else's things or cannot be written."""
    existing = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise LocalServiceError(_unusable(data_dir, f"{existing} may not be written"))
    names = {entry.name for entry in data_dir.iterdir()} if existing == data_dir else set[str]()
    if names and not names.intersection(_OURS):
        raise LocalServiceError(_unusable(data_dir, "it holds other things, and Headway keeps its own private"))


def lock_file(data_dir: Path) -> Path:
    """The file whose lock says that a Headway runs here."""
    return data_dir / _LOCK_FILE


def runtime_dir(data_dir: Path) -> Path:
    """A private folder with a short path (a socket's path holds at most 107 bytes), one for each data directory."""
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:10]
    folder = _RUNTIME_PARENT / f"headway-{os.geteuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise LocalServiceError(f"{folder} belongs to somebody else: remove it, or choose another HEADWAY_DATA_DIR.")
    folder.chmod(0o711 if service_account() else 0o700)
    return folder


def read_or_make_secret(path: Path) -> str:
    """The secret kept in a file of mode 0600, made at the first call."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secret := secrets.token_urlsafe(24))
    return secret


def _unusable(data_dir: Path, reason: str) -> str:
    return f"HEADWAY_DATA_DIR={data_dir} cannot be used: {reason}. Name a new or empty directory that you may write to."


def _require_reachable(data_dir: Path) -> None:
    for folder in reversed([data_dir, *data_dir.parents]):
        if not may_enter(folder):
            raise LocalServiceError(
                f"The embedded Postgres runs as the account `{ACCOUNT}`, which may not enter {folder}. "
                "Set HEADWAY_DATA_DIR to a directory that everybody may reach, such as /var/lib/headway."
            )
