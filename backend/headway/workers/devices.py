"""The GPUs that this worker gives to jobs: as HEADWAY_GPUS names them, else as the driver tells of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil
import structlog

from headway.domain.devices import Gpu
from headway.monitor.gpus import GpuReading, GpuReport, GpuWatch
from headway.settings import Settings, parse_gpus

log = structlog.get_logger(__name__)


def find_gpus(settings: Settings, environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs of this worker; waits for a driver that hangs no longer than a second."""
    if settings.headway_gpus.strip() == "none":
        return ()
    report = GpuWatch().read()
    if settings.headway_gpus:
        return named_gpus(parse_gpus(settings.headway_gpus), report)
    if report.gpus and not torch_knows_gpus():
        log.warning("the torch installed here is built for CPUs: no job gets a GPU unless HEADWAY_GPUS names some")
        return ()
    if report.state == "unknown":
        log.warning("no job gets a GPU here: start again, or name them by HEADWAY_GPUS", reason=report.reason)
    return visible_gpus(report, environment.get("CUDA_VISIBLE_DEVICES"))


def named_gpus(named: Mapping[str, int | None], report: GpuReport) -> tuple[Gpu, ...]:
    """Those that a person names; one that the driver knows goes by its UUID, as for other workers of the host."""
    known = {key: gpu for gpu in report.gpus for key in (str(gpu.index), gpu.uuid)}
    found = [
        _gpu(known[key], memory) if key in known else Gpu(key, int(key) if key.isdigit() else None, None, memory)
        for key, memory in named.items()
    ]
    return tuple({gpu.id: gpu for gpu in found}.values())


def visible_gpus(report: GpuReport, shown: str | None) -> tuple[Gpu, ...]:
    """Those of the driver, or those that CUDA_VISIBLE_DEVICES shows, in its order (it ends at the first unknown)."""
    if shown is None:
        return tuple(_gpu(gpu) for gpu in report.gpus)
    found: list[Gpu] = []
    for key in (part.strip() for part in shown.split(",")):
        gpu = next((gpu for gpu in report.gpus if key and _is_named(gpu, key)), None)
        if gpu is None:
            break
        found.append(_gpu(gpu))
    return tuple(found)


def memory_mb() -> int:
    """Memory of this host."""
    return psutil.virtual_memory().total >> 20


@cache
def torch_knows_gpus() -> bool:
    """Whether the installed torch can use a GPU, by what its build says of itself: a worker never imports it."""
    found = find_spec("torch")
    try:
        built = Path(found.origin or "").with_name("version.py").read_text() if found else ""
    except OSError:
        return True
    return not built or bool(re.search(r"^(cuda|hip)\b[^=\n]*=\s*['\"]", built, re.MULTILINE))


def _is_named(gpu: GpuReading, key: str) -> bool:
    return key == str(gpu.index) if key.isdigit() else (gpu.uuid or "").startswith(key)


def _gpu(gpu: GpuReading, memory: int | None = None) -> Gpu:
    told = None if gpu.memory_total_bytes is None else gpu.memory_total_bytes >> 20
    return Gpu(gpu.uuid or str(gpu.index), gpu.index, gpu.name, memory or told)
