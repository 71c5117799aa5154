"""What a machine can see of the code without running it: every check runs; 1 if any failed."""

# ruff: noqa: T201 (what it prints is what it is for)

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv" / "bin"
FRONTEND = ROOT / "frontend"

CHECKS = {
    "ruff": (ROOT, ["ruff", "check", "."]),
    "ruff format": (ROOT, ["ruff", "format", "--check", "--quiet", "."]),
    "pyright": (ROOT, ["pyright"]),
    "import rules": (ROOT, ["lint-imports", "--no-cache"]),
    "tsc": (FRONTEND, ["npx", "--no-install", "tsc", "-b"]),
    "eslint": (FRONTEND, ["npx", "--no-install", "eslint", "."]),
}


def passes(name: str, folder: Path, command: list[str]) -> bool:
    """Run one check; what it prints is shown only if it fails."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    good = done.returncode == 0
    print(f"{name:<13} {'ok' if good else 'FAILED'} ({time.monotonic() - began:.1f} s)", flush=True)
    if not good:
        print(done.stdout + done.stderr, flush=True)
    return good


def main() -> int:
    """Run all."""
    failed = [name for name, (folder, command) in CHECKS.items() if not passes(name, folder, command)]
    print(f"{len(CHECKS) - len(failed)} checks passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
