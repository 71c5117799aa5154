"""What `headway up` keeps running: a table, and its text for supervisord."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVICES, HEADWAY = "services", "headway"
_STOP_MARGIN_SECONDS = 3
_RETRIES = 1_000_000  # the n-th waits n seconds: it never gives up, and after a day asks every seven minutes


@dataclass(frozen=True, slots=True)
class Program:
    """One managed process. Groups start and stop as wholes: services first and last.

    What `serves` answers HTTP and is started before the rest. `environment` is added to what all of them learn, and
    lies in a file: no secrets.
    """

    name: str
    command: list[str]
    group: str = HEADWAY
    stop_signal: str = "TERM"
    stop_seconds: float = 5.0
    serves: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def headway_programs(grace_seconds: float) -> list[Program]:
    """The API and the two workers, which have `grace_seconds` for checkpoints and a margin to record them."""
    stop_seconds = grace_seconds + _STOP_MARGIN_SECONDS
    return [
        Program("api", headway_command("api"), serves=True),
        Program("worker-jobs", headway_command("worker", "--queues", "gpu,cpu,io"), stop_seconds=stop_seconds),
        Program("worker-system", headway_command("worker", "--queues", "system", "--beat"), stop_seconds=stop_seconds),
    ]


def headway_command(*arguments: str) -> list[str]:
    """The command line of a `headway` subcommand in this very Python."""
    return [sys.executable, "-P", "-m", "headway.cli.main", *arguments]


def supervisord_config(programs: Iterable[Program], data_dir: Path, socket: Path) -> str:
    """The configuration of supervisord. It holds no secret: those reach the programs by the environment."""
    listed = list(programs)
    groups = {name: [program.name for program in listed if program.group == name] for name in (SERVICES, HEADWAY)}
    return "\n".join(
        [
            _section("supervisord", _daemon(data_dir)),
            _section("unix_http_server", {"file": socket, "chmod": "0700"}),
            _section("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": _RPC_FACTORY}),
            *(
                _section(f"group:{name}", {"programs": ",".join(names), "priority": priority})
                for priority, (name, names) in enumerate(groups.items(), start=1)
                if names
            ),
            *(_section(f"program:{program.name}", _program(program, data_dir)) for program in listed),
        ]
    )


_RPC_FACTORY = "supervisor.rpcinterface:make_main_rpcinterface"


def pid_file(data_dir: Path) -> Path:
    """Where supervisord leaves its process id while it runs."""
    return data_dir / "run" / "supervisord.pid"


def log_file(data_dir: Path, program: str) -> Path:
    """What a program prints, rotated."""
    return data_dir / "logs" / f"{program}.log"


def _daemon(data_dir: Path) -> dict[str, object]:
    return {
        "logfile": log_file(data_dir, "supervisord"),
        "logfile_maxbytes": "5MB",
        "logfile_backups": 2,
        "pidfile": pid_file(data_dir),
        "nocleanup": "true",
        **({"user": "root"} if os.geteuid() == 0 else {}),  # said aloud, or it warns
    }


def _program(program: Program, data_dir: Path) -> dict[str, object]:
    return {
        "command": shlex.join(program.command),
        "directory": data_dir,
        "environment": ",".join(f'{name}="{value}"' for name, value in program.environment.items()),
        "umask": "077",
        "autostart": str(program.group == SERVICES).lower(),
        "autorestart": "true",
        "startsecs": 1,
        "startretries": _RETRIES,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": round(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": log_file(data_dir, program.name),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 3,
    }


def _section(name: str, values: dict[str, object]) -> str:
    lines = (f"{key}={str(value).replace('%', '%%')}" for key, value in values.items())
    return "\n".join([f"[{name}]", *lines, ""])
