"""Push what a host was measured at: one emitter a channel, called once the sample is committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headway.realtime.channels import Message
from headway.services.ports import Signals
from headway.services.views import iso

EVENT = "system:metrics"


@dataclass(frozen=True, slots=True)
class HostSample:
    """A committed sample; `alone` says that no other host is known."""

    host: str
    at: datetime
    gauges: Mapping[str, float]
    gpu_report: Mapping[str, Any]
    alone: bool = False


Emitter = Callable[[Signals, HostSample], None]


def emit_cpu_metrics(signals: Signals, sample: HostSample) -> None:
    """Cores and load, to `system/cpu`."""
    signals.publish([_message("system/cpu", sample, of_family(sample.gauges, "cpu"))])


def emit_memory_metrics(signals: Signals, sample: HostSample) -> None:
    """RAM and swap, to `system/memory`."""
    signals.publish([_message("system/memory", sample, of_family(sample.gauges, "memory"))])


def emit_disk_metrics(signals: Signals, sample: HostSample) -> None:
    """Disk traffic and space, to `system/disk`."""
    signals.publish([_message("system/disk", sample, of_family(sample.gauges, "disk"))])


def emit_network_metrics(signals: Signals, sample: HostSample) -> None:
    """Traffic by interface, to `system/network`."""
    signals.publish([_message("system/network", sample, of_family(sample.gauges, "network"))])


def emit_gpu_metrics(signals: Signals, sample: HostSample) -> None:
    """Each GPU, to `system/gpu/{host}:{index}`, and to `system/gpu/{index}` while there is one host."""
    for gpu in sample.gpu_report.get("gpus", ()):
        index = str(gpu["index"])
        for gpu_id in (f"{sample.host}:{index}", *([index] if sample.alone else [])):
            gauges = of_gpu(sample.gauges, index)
            signals.publish([_message(f"system/gpu/{gpu_id}", sample, gauges, gpu=gpu)])


EMITTERS: tuple[Emitter, ...] = (
    emit_cpu_metrics,
    emit_memory_metrics,
    emit_disk_metrics,
    emit_network_metrics,
    emit_gpu_metrics,
)


def of_family(gauges: Mapping[str, float], family: str) -> dict[str, float]:
    """The gauges of a family."""
    return {key: value for key, value in gauges.items() if key.startswith(f"{family}.")}


def of_gpu(gauges: Mapping[str, float], index: str) -> dict[str, float]:
    """The gauges of one GPU."""
    return {key: value for key, value in of_family(gauges, "gpu").items() if key.endswith(f":{index}")}


def _message(channel: str, sample: HostSample, gauges: Mapping[str, float], **more: Any) -> Message:
    payload = {
        "channel": channel,
        "revision": int(sample.at.timestamp() * 1000),
        "host": sample.host,
        "at": iso(sample.at),
        "gauges": gauges,
        **more,
    }
    # a channel carries every host: the newest message is not all there is to tell
    return Message(channel, EVENT, payload, replaces=False)
