"""One look at a host: what psutil and the GPUs say, with rates made of counters since the look before."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headway.monitor.gpus import GpuReport
from headway.monitor.guarded import Guarded

DISK_TIMEOUT_SECONDS = 1.0
MOUNTS_REFRESH_SECONDS = 60.0
MOST_MOUNTS = 16
MOST_INTERFACES = 16
#: Interfaces of the machine itself and of its containers: their traffic is not the network's, or is counted twice.
INNER_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel", "cali")


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a file system."""

    used: int
    total: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A host at one moment: percents of each core, bytes, bytes per second; rates are None at the first look."""

    cores: tuple[float, ...]
    load: tuple[float, float, float]
    memory_used: int
    memory_total: int
    swap_used: int
    swap_total: int
    disk_read: float | None
    disk_written: float | None
    mounts: Mapping[str, Space]
    received: Mapping[str, float | None]
    sent: Mapping[str, float | None]
    gpus: GpuReport


class Reader:
    """Looks at this host; `data_dir` is where jobs write, so its file system is always among the mounts."""

    def __init__(self, data_dir: Path) -> None:
        self._rates = _Rates()
        self._data_dir = data_dir
        self._mounts: tuple[str, ...] = ()
        self._mounts_known_until = 0.0
        self._spaces = Guarded(self._read_spaces, DISK_TIMEOUT_SECONDS)
        # psutil's own percents compare within a thread, and this is not the thread that looks
        self._cpu_times = psutil.cpu_times(percpu=True)

    def read(self, gpus: GpuReport) -> Reading:
        """The host now; file systems that do not answer in time are left out."""
        now = time.monotonic()
        memory, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_io_counters(nowrap=False)
        links = dict(_outer_interfaces())
        reading = Reading(
            cores=self._cores(),
            load=os.getloadavg(),
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            swap_used=swap.used,
            swap_total=swap.total,
            disk_read=self._rates.of("disk read", disk.read_bytes, now) if disk else None,
            disk_written=self._rates.of("disk written", disk.write_bytes, now) if disk else None,
            mounts=self._answered_spaces(),
            received={name: self._rates.of(f"received {name}", link.bytes_recv, now) for name, link in links.items()},
            sent={name: self._rates.of(f"sent {name}", link.bytes_sent, now) for name, link in links.items()},
            gpus=gpus,
        )
        self._rates.forget_before(now)
        return reading

    def _cores(self) -> tuple[float, ...]:
        before, self._cpu_times = self._cpu_times, psutil.cpu_times(percpu=True)
        return tuple(_busy_percent(*pair) for pair in zip(before, self._cpu_times, strict=False))

    def _answered_spaces(self) -> dict[str, Space]:
        try:
            return self._spaces()
        except TimeoutError:
            return {}

    def _read_spaces(self) -> dict[str, Space]:
        now = time.monotonic()
        if now >= self._mounts_known_until:
            self._mounts = tuple(_mounts(self._data_dir))
            self._mounts_known_until = now + MOUNTS_REFRESH_SECONDS
        return dict(_spaces(self._mounts))


def _busy_percent(before: Any, now: Any) -> float:
    """The share of a core's time between two looks in which it worked; waiting for a disk is no work."""
    spent = {name: max(0.0, after - getattr(before, name)) for name, after in now._asdict().items()}
    # the time of guests is in the user's too
    total = sum(spent.values()) - spent.get("guest", 0.0) - spent.get("guest_nice", 0.0)
    idle = spent["idle"] + spent.get("iowait", 0.0)
    return min(100.0, max(0.0, (total - idle) / total * 100)) if total > 0 else 0.0


class _Rates:
    """Counters into rates; a counter that falls began anew."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def of(self, name: str, counter: float, now: float) -> float | None:
        at, before = self._before.get(name, (now, counter))
        self._before[name] = (now, counter)
        return max(0.0, counter - before) / (now - at) if now > at else None

    def forget_before(self, now: float) -> None:
        """What was not asked for this time has gone."""
        self._before = {name: known for name, known in self._before.items() if known[0] == now}


def _outer_interfaces() -> Iterator[tuple[str, Any]]:
    links = psutil.net_io_counters(pernic=True, nowrap=False)
    outer = (name for name in sorted(links) if not name.startswith(INNER_INTERFACES))
    for name, _ in zip(outer, range(MOST_INTERFACES), strict=False):
        yield name, links[name]


def _mounts(data_dir: Path) -> Iterator[str]:
    """Each local file system once, by where it is mounted first, and the data directory's."""
    seen: set[int] = set()
    for place in [*(partition.mountpoint for partition in psutil.disk_partitions()), _mount_of(data_dir)]:
        with suppress(OSError):
            device = Path(place).stat().st_dev
            if device not in seen and len(seen) < MOST_MOUNTS:
                seen.add(device)
                yield place


def _spaces(mounts: Iterable[str]) -> Iterator[tuple[str, Space]]:
    for mount in mounts:
        with suppress(OSError):
            usage = psutil.disk_usage(mount)
            # without what only root may use, so that full is full
            yield mount, Space(usage.used, usage.used + usage.free)


def _mount_of(folder: Path) -> str:
    while not os.path.ismount(folder):
        folder = folder.parent
    return str(folder)
