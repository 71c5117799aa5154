"""GPUs by a real pynvml over a stand-in for NVIDIA's library, compiled here: answers, errors, a driver that hangs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "fake_nvml.c"
_LOOK = """
import json, sys, threading
from dataclasses import asdict
from pathlib import Path
from headway.monitor.gpus import GpuWatch
from headway.monitor.reading import Reader
from headway.monitor.gauges import measure
watch, reader, looks = GpuWatch(), Reader(Path.cwd()), []
within = watch._ask._timeout
for mode in sys.argv[2:]:
    Path(sys.argv[1]).write_text(mode)
    # a crowded machine is no driver that hangs
    watch._ask._timeout = within if mode == "hang" else 100.0
    report = watch.read()
    hanging = sum(thread.name == "headway-guarded" for thread in threading.enumerate())
    looks.append({"hanging": hanging, "gauges": measure(reader.read(report)), **asdict(report)})
sys.stdout.write("LOOKS" + json.dumps(looks))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    made = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-o", str(made), str(SOURCE)], check=True, timeout=300)
    return folder


def look(library: Path, *modes: str, pid: int = 1) -> tuple[list[dict[str, Any]], str]:
    """What a process sees that looks once in each mode, and what it logged."""
    control = library / "mode"
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(control), "FAKE_NVML_PID": str(pid)
    }  # fmt: skip
    command = [sys.executable, "-c", _LOOK, str(control), *modes]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    log, _, told = ran.stdout.partition("LOOKS")
    return json.loads(told), log + ran.stderr


def test_every_gauge_of_a_gpu_is_read_in_its_unit(library: Path) -> None:
    [seen], _ = look(library, "ok", pid=4711)
    gauges = {key: value for key, value in seen["gauges"].items() if key.startswith("gpu.") and key.endswith(":0")}
    assert gauges == {
        "gpu.utilisation_percent:0": 87, "gpu.memory_used_bytes:0": 3 << 30, "gpu.memory_total_bytes:0": 8 << 30,
        "gpu.temperature_celsius:0": 71, "gpu.power_watts:0": 215.5, "gpu.power_limit_watts:0": 300,
        "gpu.fan_percent:0": 55, "gpu.sm_clock_mhz:0": 1700, "gpu.memory_clock_mhz:0": 9500,
    }  # fmt: skip
    gpu = seen["gpus"][0]
    assert (seen["state"], gpu["name"], gpu["uuid"]) == ("ok", "Fake GPU", "GPU-fake")
    assert gpu["throttle_reasons"] == ["power cap", "thermal, by hardware"]
    assert gpu["processes"] == [{"pid": 4711, "memory_bytes": 2 << 30, "utilisation_percent": 80}]


def test_what_a_card_does_not_tell_is_left_out_and_the_rest_stays(library: Path) -> None:
    [seen], _ = look(library, "ok")
    second = {key for key in seen["gauges"] if key.endswith(":1") and key.startswith("gpu.")}
    assert second == {"gpu.memory_used_bytes:1", "gpu.memory_total_bytes:1"}
    assert seen["gpus"][1]["processes"] == []


def test_driver_that_hangs_is_unknown_after_a_second_and_holds_up_nothing(library: Path) -> None:
    looks, _ = look(library, "ok", "hang", "hang", "hang")
    assert [seen["state"] for seen in looks] == ["ok", "unknown", "unknown", "unknown"]
    assert "did not answer" in looks[1]["reason"]
    # one call hangs; no second one is begun, and the process ended by itself
    assert [seen["hanging"] for seen in looks] == [0, 1, 1, 1]
    assert all("memory.used_bytes" in seen["gauges"] for seen in looks)
    assert not any(key.startswith("gpu.") for key in looks[1]["gauges"])


def test_driver_that_fails_is_unknown_and_is_asked_again(library: Path) -> None:
    looks, log = look(library, "error", "ok", "lost", "ok")
    assert [seen["state"] for seen in looks] == ["unknown", "ok", "unknown", "ok"]
    assert "could not be asked" in looks[0]["reason"]
    assert log.count("GPUs ") == 4, "said at each change"


def test_host_without_a_gpu_says_so_once(library: Path, tmp_path: Path) -> None:
    looks, log = look(library, "absent", "absent", "ok")
    assert [seen["state"] for seen in looks] == ["none", "none", "none"]
    assert log.count("GPUs ") == 1
    looks, log = look(tmp_path, "ok", "ok")
    assert [seen["reason"] for seen in looks] == ["no NVIDIA driver on this host"] * 2
    assert log.count("GPUs ") == 1
