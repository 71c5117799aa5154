"""Whether the kernel ended a process because memory ran out: its own count says so, nothing else does."""

from __future__ import annotations

from pathlib import Path

_VMSTAT = Path("/proc/vmstat")
_CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


def oom_kills() -> int:
    """Processes the kernel killed for memory so far, on this machine or in our container; 0 where it does not tell."""
    return max(_count(_VMSTAT), _count(_CGROUP_EVENTS))


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
