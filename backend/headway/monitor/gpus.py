"""NVIDIA GPUs as NVML tells of them. The driver may be absent, refuse a question or hang: none of it harms anybody.

Source of names and units: NVIDIA, "NVML API Reference Guide" (power in mW, memory in bytes, clocks in MHz).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import structlog

from headway.monitor.guarded import Guarded

NVML_TIMEOUT_SECONDS = 1.0
MOST_PROCESSES = 64

GpuState = Literal["ok", "none", "unknown"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that uses a GPU; what the driver does not tell is None."""

    pid: int
    memory_bytes: int | None
    utilisation_percent: float | None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment; what the driver does not tell is None."""

    index: int
    name: str | None
    uuid: str | None
    utilisation_percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_celsius: float | None
    power_watts: float | None
    power_limit_watts: float | None
    fan_percent: float | None
    sm_clock_mhz: float | None
    memory_clock_mhz: float | None
    throttle_reasons: tuple[str, ...] | None
    processes: tuple[GpuProcess, ...]


@dataclass(frozen=True, slots=True)
class GpuReport:
    """Whether the GPUs could be asked, why not, and what they said."""

    state: GpuState
    reason: str | None = None
    gpus: tuple[GpuReading, ...] = ()


class GpuWatch:
    """Asks all GPUs, at most NVML_TIMEOUT_SECONDS long; without a driver it says so once and never asks again."""

    def __init__(self) -> None:
        self._ask = Guarded(_Nvml().read, NVML_TIMEOUT_SECONDS)
        self._told: tuple[GpuState, str | None] = ("ok", None)

    def read(self) -> GpuReport:
        """What the GPUs say now."""
        if self._told[0] == "none":
            return GpuReport(*self._told)
        report = self._report()
        if (told := (report.state, report.reason)) != self._told:
            log.info("GPUs", state=report.state, reason=report.reason)
            self._told = told
        return report

    def _report(self) -> GpuReport:
        try:
            return self._ask()
        except TimeoutError:
            return GpuReport("unknown", f"the driver did not answer within {NVML_TIMEOUT_SECONDS:g} s")
        except Exception as error:
            return GpuReport("unknown", f"the driver could not be asked: {error}")


class _Nvml:
    """The questions; called from one thread at a time."""

    def __init__(self) -> None:
        self._ready = False
        self._seen_at: dict[int, int] = {}

    def read(self) -> GpuReport:
        nvml: Any = import_module("pynvml")  # a twentieth of a second, and only workers measure
        if not self._ready:
            try:
                nvml.nvmlInit()
            except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
                return GpuReport("none", "no NVIDIA driver on this host")
            self._ready = True
        try:
            gpus = tuple(self._gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        except nvml.NVMLError:
            # a driver that was reloaded answers again after a new start
            self._ready = False
            raise
        return GpuReport("ok", None, gpus) if gpus else GpuReport("none", "the NVIDIA driver knows no GPU")

    def _gpu(self, nvml: Any, index: int) -> GpuReading:
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)

        def ask(question: Callable[..., Any], *more: Any) -> Any:
            return _answer(nvml, question, gpu, *more)

        memory = ask(nvml.nvmlDeviceGetMemoryInfo)
        reasons = ask(nvml.nvmlDeviceGetCurrentClocksEventReasons)
        if reasons is None:  # what drivers before 535 call it
            reasons = ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return GpuReading(
            index=index,
            name=ask(nvml.nvmlDeviceGetName),
            uuid=ask(nvml.nvmlDeviceGetUUID),
            utilisation_percent=_field(ask(nvml.nvmlDeviceGetUtilizationRates), "gpu"),
            memory_used_bytes=_field(memory, "used"),
            memory_total_bytes=_field(memory, "total"),
            temperature_celsius=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            power_watts=_from_milli(ask(nvml.nvmlDeviceGetPowerUsage)),
            power_limit_watts=_from_milli(ask(nvml.nvmlDeviceGetEnforcedPowerLimit)),
            fan_percent=ask(nvml.nvmlDeviceGetFanSpeed),
            sm_clock_mhz=ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            memory_clock_mhz=ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
            throttle_reasons=None if reasons is None else throttle_reasons(reasons),
            processes=self._processes(nvml, ask, index),
        )

    def _processes(self, nvml: Any, ask: Callable[..., Any], index: int) -> tuple[GpuProcess, ...]:
        running = ask(nvml.nvmlDeviceGetComputeRunningProcesses) or []
        used: dict[int, float] = {}
        for sample in (
            ask(nvml.nvmlDeviceGetProcessUtilization, self._seen_at.get(index, 0)) if running else None
        ) or ():
            self._seen_at[index] = max(self._seen_at.get(index, 0), sample.timeStamp)
            used[sample.pid] = float(sample.smUtil)
        return tuple(
            GpuProcess(process.pid, process.usedGpuMemory, used.get(process.pid))
            for process in running[:MOST_PROCESSES]
        )


#: Bits of the clocks' event reasons that mean being held back, by the names of nvml.h.
_REASONS = {
    0x04: "power cap", 0x08: "hardware slowdown", 0x20: "thermal, by software", 0x40: "thermal, by hardware",
    0x80: "power brake",
}  # fmt: skip


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """What holds the clocks back; idling and clocks set by a person are no such reason."""
    return tuple(name for bit, name in _REASONS.items() if bits & bit)


def _answer(nvml: Any, question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None: cards differ in what they tell."""
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None


def _field(answer: Any, name: str) -> Any:
    return None if answer is None else getattr(answer, name)


def _from_milli(value: int | None) -> float | None:
    return None if value is None else value / 1000
