"""What is measured of a host: a table, one gauge one row. A unit stands in each name; a label tells several apart.

A gauge's key is its name, or `name:label` (`disk.used_bytes:/`, `gpu.power_watts:0`). What comes before the dot is its
family: the channel `system/<family>` carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headway.monitor.gpus import GpuReading
from headway.monitor.reading import Reading

Values = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One row: values by label, `""` where there is only one."""

    name: str
    meaning: str
    values: Callable[[Reading], Values]


def _of_gpus(value: Callable[[GpuReading], float | None]) -> Callable[[Reading], Values]:
    return lambda reading: {str(gpu.index): value(gpu) for gpu in reading.gpus.gpus}


# fmt: off
GAUGES: tuple[Gauge, ...] = (
    Gauge("cpu.percent", "All cores together", lambda r: {"": sum(r.cores) / len(r.cores)}),
    Gauge("cpu.core_percent", "Each core", lambda r: {str(number): core for number, core in enumerate(r.cores)}),
    Gauge("cpu.load_1min", "Processes that run or want to, over 1 minute", lambda r: {"": r.load[0]}),
    Gauge("cpu.load_5min", "Over 5 minutes", lambda r: {"": r.load[1]}),
    Gauge("cpu.load_15min", "Over 15 minutes", lambda r: {"": r.load[2]}),
    Gauge("memory.used_bytes", "RAM that is not to be had", lambda r: {"": r.memory_used}),
    Gauge("memory.total_bytes", "RAM", lambda r: {"": r.memory_total}),
    Gauge("memory.swap_used_bytes", "Swap in use", lambda r: {"": r.swap_used}),
    Gauge("memory.swap_total_bytes", "Swap", lambda r: {"": r.swap_total}),
    Gauge("disk.read_bytes_per_second", "Read from all disks", lambda r: {"": r.disk_read}),
    Gauge("disk.written_bytes_per_second", "Written to all disks", lambda r: {"": r.disk_written}),
    Gauge("disk.used_bytes", "Space in use, by mount", lambda r: {m: space.used for m, space in r.mounts.items()}),
    Gauge("disk.total_bytes", "Space, by mount", lambda r: {m: space.total for m, space in r.mounts.items()}),
    Gauge("network.received_bytes_per_second", "Received, by interface", lambda r: r.received),
    Gauge("network.sent_bytes_per_second", "Sent, by interface", lambda r: r.sent),
    Gauge("gpu.utilisation_percent", "Time in which a kernel ran", _of_gpus(lambda g: g.utilisation_percent)),
    Gauge("gpu.memory_used_bytes", "GPU memory in use", _of_gpus(lambda g: g.memory_used_bytes)),
    Gauge("gpu.memory_total_bytes", "GPU memory", _of_gpus(lambda g: g.memory_total_bytes)),
    Gauge("gpu.temperature_celsius", "Temperature of the chip", _of_gpus(lambda g: g.temperature_celsius)),
    Gauge("gpu.power_watts", "Power drawn", _of_gpus(lambda g: g.power_watts)),
    Gauge("gpu.power_limit_watts", "Power allowed", _of_gpus(lambda g: g.power_limit_watts)),
    Gauge("gpu.fan_percent", "Fan speed", _of_gpus(lambda g: g.fan_percent)),
    Gauge("gpu.sm_clock_mhz", "Clock of the processors", _of_gpus(lambda g: g.sm_clock_mhz)),
    Gauge("gpu.memory_clock_mhz", "Clock of the memory", _of_gpus(lambda g: g.memory_clock_mhz)),
)
# fmt: on


def measure(reading: Reading) -> dict[str, float]:
    """Every gauge that has a value, by key."""
    return {
        f"{gauge.name}:{label}" if label else gauge.name: round(value, 2)
        for gauge in GAUGES
        for label, value in gauge.values(reading).items()
        if value is not None
    }
