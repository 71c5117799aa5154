"""`headway cluster`: what `up` runs, but with nginx before several API instances, as docker-compose.yml has it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import headway
from headway.errors import LocalServiceError
from headway.local.launch import launcher
from headway.local.programs import Program, headway_programs
from headway.local.up import Installation, Say, started
from headway.local.valkey import free_port
from headway.settings import Settings

_ROOT = Path(headway.__file__).resolve().parents[2]
START_NGINX = _ROOT / "nginx" / "start.sh"
DASHBOARD = _ROOT / "frontend" / "dist"
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")


@contextmanager
def cluster_started(settings: Settings, instances: int, say: Say) -> Iterator[Installation]:
    """A running installation whose HEADWAY_PORT is nginx's, with `instances` API instances behind it.

    Raises what `started` does, and LocalServiceError where nginx is missing.
    """
    find_nginx()
    port = settings.headway_port or free_port(settings.headway_host)
    settings = settings.model_copy(update={"headway_port": port})
    with started(settings, say, cluster_programs(settings, [free_port() for _ in range(instances)])) as installation:
        yield installation


def cluster_programs(settings: Settings, ports: Sequence[int]) -> list[Program]:
    """nginx, an API instance for each of `ports` on loopback, and the workers."""
    api, *workers = headway_programs(settings.headway_stop_grace_seconds)
    instances = [
        replace(api, name=f"api-{number}", environment={"HEADWAY_HOST": "127.0.0.1", "HEADWAY_PORT": str(port)})
        for number, port in enumerate(ports, start=1)
    ]
    return [Program("nginx", nginx_command(settings, ports), serves=True), *instances, *workers]


def nginx_command(settings: Settings, ports: Sequence[int]) -> list[str]:
    """What runs nginx on HEADWAY_HOST and HEADWAY_PORT before instances on loopback; it ends when its parent does."""
    host = f"[{settings.headway_host}]" if ":" in settings.headway_host else settings.headway_host
    told = {
        "NGINX_LISTEN": f"{host}:{settings.headway_port}",
        "NGINX_INSTANCES": " ".join(f"127.0.0.1:{port}" for port in ports),
        "NGINX_DASHBOARD": f"{DASHBOARD}",
        "NGINX_PLACE": f"{settings.headway_data_dir / 'run' / 'nginx'}",
        "HEADWAY_MAX_BODY_MB": f"{settings.headway_max_body_mb}",
        "WEBSOCKET_COMPRESSION": f"{settings.websocket_compression}",
    }
    named = [f"{name}={value}" for name, value in told.items()]
    return launcher("SIGTERM", None, ["/usr/bin/env", *named, "/bin/sh", f"{START_NGINX}"])


def find_nginx() -> Path:
    """The program. Raises LocalServiceError when there is none."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    if program := shutil.which("nginx", path=folders):
        return Path(program)
    raise LocalServiceError("No nginx found: install it (on Debian and Ubuntu: apt-get install nginx-light).")
