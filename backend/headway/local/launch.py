"""`python -m headway.local.launch SIGNAL ACCOUNT PROGRAM ARGUMENT...`: become a program that ends with its parent.

The parent's end sends it SIGNAL. ACCOUNT is who runs it; `-` keeps the user. The program sees none of our secrets: of
the environment only what `_KEPT` names stays.
"""

from __future__ import annotations

import os
import signal
import sys

from headway.local.account import become
from headway.parent_death import end_with_parent

_KEPT = ("PATH", "LANG", "TZ", "TMPDIR")
KEEP_ACCOUNT = "-"


def launcher(death_signal: str, account: str | None, program: list[str]) -> list[str]:
    """The command line that runs `program` so. `death_signal` is a name such as `SIGINT`."""
    return [sys.executable, "-P", "-m", __name__, death_signal, account or KEEP_ACCOUNT, *program]


def main(arguments: list[str]) -> None:
    """Replace this process."""
    death_signal, account, *program = arguments
    if account != KEEP_ACCOUNT:
        become(account)
    end_with_parent(signal.Signals[death_signal])
    os.execve(program[0], program, {name: os.environ[name] for name in _KEPT if name in os.environ})


if __name__ == "__main__":
    main(sys.argv[1:])
