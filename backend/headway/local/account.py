"""The unprivileged account that runs the embedded Postgres when we are root, which Postgres refuses to be."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

ACCOUNT = "nobody"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def service_account() -> str | None:
    """The account that the embedded Postgres runs as: `nobody` for root, otherwise our own (None)."""
    return ACCOUNT if os.geteuid() == 0 else None


def run_as_account(
    command: Sequence[str | Path], text: str = "", seconds: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run a command as the service account, `text` as its input. Raises PermissionError if it may not execute it."""
    account = service_account()
    return subprocess.run(
        command,
        input=text,
        text=True,
        capture_output=True,
        timeout=seconds,
        cwd="/",
        env=_ENVIRONMENT,
        user=account,
        group=pwd.getpwnam(account).pw_gid if account else None,
        extra_groups=[] if account else None,
    )


def may_enter(folder: Path) -> bool:
    """Whether the service account can pass through the folder."""
    return run_as_account(["test", "-x", folder]).returncode == 0


def become(account: str) -> None:
    """Give up root for `account`, its group and nothing else."""
    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
