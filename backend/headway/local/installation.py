"""What one installation is to others on this machine: its lock, its token, and its address while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from headway.errors import AlreadyRunningError
from headway.local.folders import lock_file

_EVERYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Running:
    """A running installation, as its `run/info.json` (mode 0600) tells it."""

    pid: int
    host: str
    port: int
    token: str
    database_url: str
    redis_url: str

    @property
    def url(self) -> str:
        """The API's address as seen from this machine."""
        return f"http://{reachable_host(self.host)}:{self.port}"

    @property
    def dashboard(self) -> str:
        """The dashboard's address, which signs its visitor in."""
        return f"{self.url}/?token={self.token}"


def reachable_host(host: str) -> str:
    """The host to connect to for an address listened on."""
    host = "127.0.0.1" if host in _EVERYWHERE else host
    return f"[{host}]" if ":" in host else host


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the installation. Raises AlreadyRunningError, with whose it is, when another process does."""
    lock = FileLock(lock_file(data_dir), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunningError(_already(data_dir)) from None
    try:
        yield
    finally:
        lock.release()


def _already(data_dir: Path) -> str:
    running = read_info(data_dir)
    who = f" (process {running.pid}, {running.url})" if running else ""
    return (
        f"Headway already runs on {data_dir}{who}. `headway open` prints its dashboard's address; stop it with Ctrl-C, "
        "or set another HEADWAY_DATA_DIR and HEADWAY_PORT for a second installation."
    )


@contextmanager
def described(data_dir: Path, running: Running) -> Iterator[None]:
    """Tell other terminals how to reach what runs, for as long as the block lasts."""
    file = info_file(data_dir)
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(asdict(running), opened)
    unfinished.rename(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read_info(data_dir: Path) -> Running | None:
    """The installation that runs, or ran and was killed; None when it was stopped or never ran."""
    try:
        return Running(**json.loads(info_file(data_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def info_file(data_dir: Path) -> Path:
    """Where a running installation is described."""
    return data_dir / "run" / "info.json"
