"""Starts jobs' processes, each a fresh exec in a session of its own, from one thread that lives as long as the worker.

A process asks the kernel to be killed when the thread that started it ends (PDEATHSIG goes by thread, not by process);
so no supervisor thread, which ends with its job, may be the one that starts it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from headway.parent_death import PARENT_PID
from headway.settings import Settings
from headway.workers.output import FILE_NAME

START_TIMEOUT_SECONDS = 30
#: What a job's process must not see: the way into our stores and the secrets of kinds that did not ask for them.
HIDDEN = frozenset(
    {
        "HEADWAY_DATABASE_URL",
        "HEADWAY_LABEL_TOKEN",
        "HEADWAY_REDIS_URL",
        "HEADWAY_TOKEN",
        "HF_TOKEN",
        "REDIS_WS_URL",
    }
)

_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="headway-spawner")


def spawn(
    folder: Path, *, threads: int, secrets: tuple[str, ...], settings: Settings, gpus: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the process of the attempt in `folder`. Raises OSError when it cannot be started."""
    environment = job_environment(os.environ, threads=threads, secrets=secrets, settings=settings, gpus=gpus)
    return _executor.submit(_start, folder, environment).result(timeout=START_TIMEOUT_SECONDS)


def job_environment(
    base: Mapping[str, str], *, threads: int, secrets: tuple[str, ...], settings: Settings, gpus: Sequence[str] = ()
) -> dict[str, str]:
    """Our environment without our secrets, with the job's threads and GPUs and the secrets its kind declares."""
    kept = {name: value for name, value in base.items() if name not in HIDDEN or name in secrets}
    count = str(threads)
    return kept | {
        PARENT_PID: str(os.getpid()),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),  # empty: it sees none, whatever the host has
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as NVML counts them
        "HF_ENDPOINT": settings.hf_endpoint,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / FILE_NAME).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "headway.jobs.process", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
        )


def kill_group(process_group: int) -> None:
    """End every process of the group now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_group, signal.SIGKILL)


def end_group_of(folder: Path, process_group: int, timeout: float = 10.0) -> None:
    """End what is left of an earlier attempt's group and wait until it is gone.

    A process id may have been used again: only processes whose command names the attempt's folder, or that share the
    session of one, are ended. Raises TimeoutError when one survives.
    """
    deadline = time.monotonic() + timeout
    while any(_belongs(process, folder, process_group) for process in _of_group(process_group)):
        kill_group(process_group)
        if time.monotonic() > deadline:
            raise TimeoutError(f"process group {process_group} of an earlier attempt does not end")
        time.sleep(0.05)


def _of_group(process_group: int) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getpgid(process.pid) == process_group:
                found.append(process)
    return found


def _belongs(process: psutil.Process, folder: Path, process_group: int) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.pid != process_group or str(folder) in process.cmdline()
    except psutil.NoSuchProcess:
        return False
