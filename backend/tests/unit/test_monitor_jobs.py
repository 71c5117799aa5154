"""What a job uses, measured on real processes: the whole tree counts, and what ended is not forgotten."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from headway.monitor.gpus import GpuProcess, GpuReading, throttle_reasons
from headway.monitor.jobs import JobMeter, JobUse, RunningJob
from tests.installation import wait_until

_BURN = "end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


@contextmanager
def session(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that leads a session, says a line when its work is done, and waits."""
    script = "import subprocess, sys, time\n" + code + "\nprint('done', flush=True)\nsys.stdin.read()\n"
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                member.kill()


def until_done(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"


def measured(code: str, gpus: list[GpuReading] | None = None, wants: int = 0) -> tuple[JobUse, float]:
    """The use of a session that ran `code` between two looks, and the CPU seconds that it is said to have used."""
    with session("sys.stdin.readline()\n" + code) as process:
        meter, job = JobMeter(), RunningJob("job", 1, process.pid, wants)
        assert meter.measure([job], gpus or []) == [], "the first look only begins the counting"
        began = time.monotonic()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        until_done(process)
        [use] = meter.measure([job], gpus or [])
        return use, use.cpu_cores * (time.monotonic() - began)


def test_cpu_of_a_child_counts_though_it_has_ended() -> None:
    child = _BURN.format(seconds=0.5).replace("\n", "\\n")
    use, seconds = measured(f'subprocess.run([sys.executable, "-c", "import time\\n{child}"], check=True)')
    assert seconds == pytest.approx(0.5, abs=0.2)
    assert use.processes == 1


def test_child_in_a_session_of_its_own_belongs_to_the_job() -> None:
    use, _ = measured('subprocess.Popen(["sleep", "60"], start_new_session=True)')
    assert use.processes == 2


def test_memory_of_all_processes_counts() -> None:
    hold = "x = bytearray(b'1') * (100 << 20); print(1, flush=True); time.sleep(60)"
    use, _ = measured(
        f'p = subprocess.Popen([sys.executable, "-c", "import time; {hold}"], stdout=-1); p.stdout.readline(); '
        "y = bytearray(b'1') * (50 << 20)"
    )
    assert use.memory_bytes > 150 << 20
    assert use.memory_bytes < 200 << 20


def test_what_ended_between_two_looks_is_not_told_of() -> None:
    meter = JobMeter()
    with session("") as process:
        until_done(process)
        job = RunningJob("job", 1, process.pid)
        meter.measure([job], [])
    wait_until(lambda: not psutil.pid_exists(job.leader), what="the end of the process")
    assert meter.measure([job], []) == []


def gpu(pids: list[int], **values: Any) -> GpuReading:
    processes = tuple(GpuProcess(pid, 1 << 30, 40.0) for pid in pids)
    unknown = dict.fromkeys(GpuReading.__dataclass_fields__)
    told = {"index": 0, "utilisation_percent": 90.0, "memory_used_bytes": 6 << 30, "processes": processes}
    return GpuReading(**(unknown | told | values))


def use_of_gpu(pid_of: Any, wants: int) -> JobUse:
    with session("") as process:
        until_done(process)
        meter, job = JobMeter(), RunningJob("job", 1, process.pid, wants)
        gpus = [gpu([pid_of(process.pid)])]
        meter.measure([job], gpus)
        [use] = meter.measure([job], gpus)
        return use


def test_gpu_use_is_measured_by_process_id() -> None:
    use = use_of_gpu(lambda pid: pid, wants=1)
    assert (use.gpu_percent, use.gpu_memory_bytes, use.estimated) == (40, 1 << 30, False)


def test_gpu_use_is_an_estimate_only_where_process_ids_mean_nothing_here() -> None:
    nobody = psutil.pids()[-1] + 1_000_000
    use = use_of_gpu(lambda _: nobody, wants=1)
    assert (use.gpu_percent, use.gpu_memory_bytes, use.estimated) == (90, 6 << 30, True)
    use = use_of_gpu(lambda _: nobody, wants=0)
    assert (use.gpu_percent, use.gpu_memory_bytes, use.estimated) == (0, 0, False)


def test_idle_gpu_is_not_called_held_back() -> None:
    assert throttle_reasons(0x1 | 0x2) == ()
    assert throttle_reasons(0x8) == ("hardware slowdown",)
