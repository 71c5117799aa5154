"""Which jobs of a line fit the GPUs that are free, and which GPUs a worker gives at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headway.domain.devices import Gpu, Wanted, claimable
from headway.monitor.gpus import GpuReading, GpuReport
from headway.settings import Settings
from headway.workers.devices import find_gpus, named_gpus, visible_gpus
from headway.workers.slots import slots_of
from headway.workers.spawner import job_environment

WANTED = st.builds(Wanted, st.uuids().map(str), st.integers(0, 4), st.booleans())


def reading(index: int) -> GpuReading:
    told = (index, "H", f"GPU-{index}a", None, None, 80 << 30, *[None] * 7, ())
    return GpuReading(*told)


REPORT = GpuReport("ok", None, (reading(0), reading(1)))


@given(st.lists(WANTED, max_size=20), st.integers(0, 4), st.integers(0, 4))
def test_what_may_be_claimed_fits_and_overtakes_nobody_that_waits_for_gpus(
    line: list[Wanted], free: int, shared: int
) -> None:
    found = list(claimable(line, free, free + shared))
    assert [wanted for wanted in line if wanted in found] == found
    assert all(wanted.gpus <= free + (shared if wanted.shares else 0) for wanted in found)
    assert [wanted for wanted in found if not wanted.gpus] == [wanted for wanted in line if not wanted.gpus]
    passed = [wanted for wanted in line if wanted.gpus and wanted not in found]
    if passed:
        assert all(line.index(wanted) < line.index(passed[0]) for wanted in found if wanted.gpus)


def test_gpus_named_by_index_or_uuid_are_one_and_the_same() -> None:
    found = named_gpus({"0": None, "GPU-0a": None, "7": 4096}, REPORT)
    assert found == (Gpu("GPU-0a", 0, "H", 80 << 10), Gpu("7", 7, None, 4096))


def test_gpus_that_are_hidden_from_the_worker_are_given_to_no_job() -> None:
    assert [gpu.index for gpu in visible_gpus(REPORT, None)] == [0, 1]
    assert [gpu.index for gpu in visible_gpus(REPORT, "1,0")] == [1, 0]
    assert [gpu.index for gpu in visible_gpus(REPORT, "GPU-1")] == [1]
    assert visible_gpus(REPORT, "") == visible_gpus(REPORT, "-1,0") == ()


def test_setting_names_gpus_or_says_what_is_wrong() -> None:
    named = Settings.model_validate({"headway_gpus": "0=24576, GPU-5f"})
    assert [(gpu.id, gpu.memory_mb) for gpu in find_gpus(named)] == [("0", 24576), ("GPU-5f", None)]
    assert find_gpus(Settings.model_validate({"headway_gpus": "none"})) == ()
    with pytest.raises(ValidationError, match="neither an index nor a UUID"):
        Settings.model_validate({"headway_gpus": "first"})


def test_every_gpu_can_have_a_job_unless_the_slots_say_otherwise() -> None:
    assert slots_of(Settings.model_validate({}), ["gpu", "io"], 4) == {"gpu": 4, "io": 2}
    assert slots_of(Settings.model_validate({"headway_slots": "gpu=2"}), ["gpu"], 4) == {"gpu": 2}


def test_process_sees_its_gpus_alone_and_none_without_any() -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1,2"}
    seen = [
        job_environment(base, threads=1, secrets=(), settings=Settings.model_validate({}), gpus=gpus)
        for gpus in ((), ("GPU-0a", "GPU-1a"))
    ]
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in seen] == ["", "GPU-0a,GPU-1a"]
