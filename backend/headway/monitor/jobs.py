"""What a job's processes use, measured by process id: its session, and the sessions its processes opened."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from headway.monitor.gpus import GpuReading


@dataclass(frozen=True, slots=True)
class RunningJob:
    """An attempt whose process leads the session `leader` on this host; `gpus` is how many it asked for."""

    job_id: str
    attempt: int
    leader: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class JobUse:
    """What an attempt used since it was looked at before; `estimated` holds for its GPU figures."""

    job_id: str
    attempt: int
    cpu_cores: float
    memory_bytes: int
    read_bytes_per_second: float | None
    written_bytes_per_second: float | None
    gpu_percent: float | None
    gpu_memory_bytes: int | None
    processes: int
    estimated: bool


@dataclass(slots=True)
class _Total:
    """Of a job's processes, with those that ended and were waited for: CPU seconds, bytes of I/O, resident memory."""

    at: float
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    pids: list[int] = field(default_factory=list[int])


class JobMeter:
    """Measures jobs again and again; the first look at an attempt only begins its counting."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], _Total] = {}
        self._sessions = _Sessions()
        self._processes: dict[int, psutil.Process] = {}

    def measure(self, jobs: Sequence[RunningJob], gpus: Sequence[GpuReading]) -> list[JobUse]:
        """The use of each job that was looked at before."""
        members = self._sessions.members({job.leader for job in jobs}) if jobs else {}
        totals = {(job.job_id, job.attempt): self._total(members.get(job.leader, ())) for job in jobs}
        uses: list[JobUse] = []
        for job in jobs:
            key = (job.job_id, job.attempt)
            before, total = self._before.get(key), totals[key]
            if before is not None and total.pids and total.at > before.at:
                uses.append(_use(job, before, total, _gpu_use(job, jobs, total.pids, gpus)))
        self._before = {key: total for key, total in totals.items() if total.pids}
        known = {pid for total in totals.values() for pid in total.pids}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in known}
        return uses

    def _total(self, pids: Iterable[int]) -> _Total:
        total = _Total(time.monotonic())
        for pid in pids:
            # gone since, or not ours to look at
            with suppress(psutil.Error, OSError):
                self._add(total, self._process(pid))
        return total

    def _process(self, pid: int) -> psutil.Process:
        if pid not in self._processes:
            self._processes[pid] = psutil.Process(pid)
        return self._processes[pid]

    @staticmethod
    def _add(total: _Total, process: psutil.Process) -> None:
        with process.oneshot():
            times = process.cpu_times()
            # a process that ended goes on in the children's time of the one that waited for it, so the sum never falls
            total.cpu_seconds += times.user + times.system
            total.cpu_seconds += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            total.memory_bytes += process.memory_info().rss
            total.pids.append(process.pid)
            if hasattr(process, "io_counters"):  # not on macOS
                counters = process.io_counters()
                total.read_bytes += counters.read_bytes
                total.written_bytes += counters.write_bytes


class _Sessions:
    """Which processes belong to a session, by themselves or through a session that one of them opened."""

    def __init__(self) -> None:
        self._opened_in: dict[int, int] = {}

    def members(self, leaders: Collection[int]) -> Mapping[int, list[int]]:
        """The process ids by leader."""
        sessions: dict[int, list[int]] = defaultdict(list)
        for pid in psutil.pids():
            with suppress(OSError):
                sessions[os.getsid(pid)].append(pid)
        self._opened_in = {session: opener for session, opener in self._opened_in.items() if session in sessions}
        found: dict[int, list[int]] = defaultdict(list)
        for session, pids in sessions.items():
            leader = self._leader_of(session, leaders)
            if leader is not None:
                found[leader] += pids
        return found

    def _leader_of(self, session: int, leaders: Collection[int]) -> int | None:
        passed: set[int] = set()
        while session not in leaders:
            if session <= 1 or session in passed:
                return None
            passed.add(session)
            session = self._opener_of(session)
        return session

    def _opener_of(self, session: int) -> int:
        """The session whose process began this one; 0 where nobody knows any more."""
        if session not in self._opened_in:
            try:
                self._opened_in[session] = os.getsid(psutil.Process(session).ppid())
            except (psutil.Error, OSError):
                self._opened_in[session] = 0
        return self._opened_in[session]


@dataclass(frozen=True, slots=True)
class _GpuUse:
    percent: float | None
    memory_bytes: int | None
    estimated: bool = False


def _use(job: RunningJob, before: _Total, total: _Total, gpu: _GpuUse) -> JobUse:
    seconds = total.at - before.at
    has_io = hasattr(psutil.Process, "io_counters")
    return JobUse(
        job_id=job.job_id,
        attempt=job.attempt,
        cpu_cores=max(0.0, total.cpu_seconds - before.cpu_seconds) / seconds,
        memory_bytes=total.memory_bytes,
        read_bytes_per_second=max(0, total.read_bytes - before.read_bytes) / seconds if has_io else None,
        written_bytes_per_second=max(0, total.written_bytes - before.written_bytes) / seconds if has_io else None,
        gpu_percent=gpu.percent,
        gpu_memory_bytes=gpu.memory_bytes,
        processes=len(total.pids),
        estimated=gpu.estimated,
    )


def _gpu_use(job: RunningJob, jobs: Sequence[RunningJob], pids: Collection[int], gpus: Sequence[GpuReading]) -> _GpuUse:
    """Measured by process id. A job that holds GPUs whose processes' ids mean nothing here (the driver counts them
    outside of this container) is given its share of what all of them do, as an estimate."""
    mine = [process for gpu in gpus for process in gpu.processes if process.pid in pids]
    if mine:
        return _GpuUse(_sum(p.utilisation_percent for p in mine), _whole(_sum(p.memory_bytes for p in mine)))
    strangers = any(not psutil.pid_exists(process.pid) for gpu in gpus for process in gpu.processes)
    if not job.gpus or not strangers:
        return _GpuUse(None, None) if not gpus else _GpuUse(0.0, 0)
    share = job.gpus / sum(other.gpus for other in jobs)
    percent, memory = _sum(gpu.utilisation_percent for gpu in gpus), _sum(gpu.memory_used_bytes for gpu in gpus)
    return _GpuUse(percent and percent * share, _whole(memory and memory * share), estimated=True)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
