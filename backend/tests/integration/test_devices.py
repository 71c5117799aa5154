"""GPUs in Postgres: no two jobs have one unless their kind says so, and each is free again when its job lets go."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from headway.domain.devices import Gpu
from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.failures import Failure, FailureClass
from headway.jobs.order import JobOrder
from headway.services.claim_job import Claimant, claim_job, new_feed, queues_to_claim
from headway.services.control_job import cancel_job
from headway.services.finish_attempt import finish_attempt
from headway.services.locate_files import attempt_folder
from headway.services.read_operations import read_operations
from headway.services.recover_jobs import give_back
from headway.storage import devices as device_store
from headway.storage import hosts as host_store
from headway.storage.engine import transaction
from headway.storage.rows import Row
from tests.installation import Installation, open_installation, wait_until

GPUS = tuple(Gpu(f"GPU-{number}", number) for number in range(4))
HOST = Claimant("w", "gpu-host", 600.0, GPUS, 64_000)


@pytest.fixture(scope="module")
def opened(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as made:
        yield made


@pytest.fixture
def installation(opened: Installation) -> Installation:
    """Without jobs and workers of the test before."""
    opened.query("TRUNCATE jobs, workers CASCADE")
    return opened


def submit(installation: Installation, **resources: Any) -> str:
    """A job of a kind with these resources."""
    job_id = installation.submit(config={"steps": 5, "step_seconds": 0})
    installation.query(
        "UPDATE jobs SET resources = resources || %s::jsonb WHERE id = %s", json.dumps(resources), job_id
    )
    return job_id


def claim(installation: Installation, claimant: Claimant = HOST, job_id: str | None = None) -> Row | None:
    return claim_job(installation.engine, installation.runtime.signals, claimant, "cpu", job_id)


def finish(installation: Installation, row: Row, outcome: Outcome = Outcome.LOST) -> None:
    feed = new_feed(row, HOST)
    finish_attempt(installation.engine, installation.runtime.signals, feed, Ending(outcome), Patience(50))


def leases(installation: Installation) -> list[tuple[Any, ...]]:
    return installation.query("SELECT device, job_id FROM device_leases WHERE host = %s ORDER BY 1, 2", HOST.host)


def see(installation: Installation, claimant: Claimant, **slots: int) -> None:
    """The presence of a worker."""
    with transaction(installation.engine) as connection:
        host_store.see(
            connection,
            worker_id=claimant.owner,
            host=claimant.host,
            pid=1,
            slots=slots,
            cpus=1,
            memory_mb=claimant.memory_mb or 1000,
            gpus=[asdict(gpu) for gpu in claimant.gpus],
        )


def test_no_two_jobs_ever_have_one_gpu_however_many_claim_at_once(installation: Installation) -> None:
    jobs = [submit(installation, gpus=1 + number % 2) for number in range(40)]
    problems: list[str] = []

    def work(owner: str) -> None:
        idle = 0
        while idle < 40:
            row = claim(installation, replace(HOST, owner=owner))
            if row is None:
                idle += 1
                continue
            idle = 0
            holders = Counter(device for device, _ in leases(installation))
            problems.extend(f"{device} has {count} jobs" for device, count in holders.items() if count > 1)
            if len(row["gpus"]) != row["resources"]["gpus"]:
                problems.append(f"{row['gpus']} for {row['resources']}")
            feed = new_feed(row, replace(HOST, owner=owner))
            # without a result it is queued again, at most thrice: every attempt claims anew
            finish_attempt(installation.engine, installation.runtime.signals, feed, Ending(Outcome.LOST), Patience(2))

    threads = [threading.Thread(target=work, args=[f"w{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert {installation.job(job).state for job in jobs} == {"failed"}
    assert leases(installation) == []
    given = installation.query("SELECT sum(jsonb_array_length(gpus)), count(*) FROM attempts")
    assert given == [(60 * 3, 40 * 3)]


def test_database_itself_refuses_a_second_lease(installation: Installation) -> None:
    first, second = submit(installation, gpus=1), submit(installation, gpus=1)
    assert claim(installation, job_id=first)
    with pytest.raises(IntegrityError), transaction(installation.engine) as connection:
        device_store.lease(connection, HOST.host, second, 1, [{"id": "GPU-0"}], shared=False)


def test_gpu_is_free_again_however_its_job_lets_go(installation: Installation) -> None:
    job_id = submit(installation, gpus=4)
    rival = submit(installation, gpus=1)
    for let_go in (
        lambda row: finish(installation, row),
        lambda row: give_back(installation.engine, installation.runtime.signals, Patience(50), HOST.owner),
        lambda row: installation.query("DELETE FROM jobs WHERE id = %s", job_id),
    ):
        row = claim(installation, job_id=job_id)
        assert row is not None
        assert len(leases(installation)) == 4
        assert claim(installation, job_id=rival) is None
        let_go(row)
        assert leases(installation) == []
    assert claim(installation, job_id=rival)


def test_kinds_that_share_meet_on_one_gpu_and_others_stay_away(installation: Installation) -> None:
    one = replace(HOST, gpus=GPUS[:1])
    alone = submit(installation, gpus=1)
    shared = [submit(installation, gpus=1, share_gpu=True) for _ in range(3)]
    assert [bool(claim(installation, one, job)) for job in (*shared, alone)] == [True, True, True, False]
    two = replace(HOST, gpus=GPUS[:2])
    again = [submit(installation, gpus=1, share_gpu=True) for _ in range(2)]
    rows = [claim(installation, two, job) for job in again]
    assert [row and row["gpus"][0]["id"] for row in rows] == ["GPU-1", "GPU-1"]
    assert claim(installation, replace(HOST, gpus=GPUS[:2]), alone) is None


def test_large_job_is_not_starved_by_small_ones_and_those_without_gpu_pass(installation: Installation) -> None:
    holding = claim(installation, job_id=submit(installation, gpus=3))
    assert holding is not None
    large, small, plain = submit(installation, gpus=2), submit(installation, gpus=1), submit(installation, gpus=0)
    row = claim(installation)
    assert row is not None
    assert (row["id"], claim(installation)) == (plain, None)
    assert queues_to_claim(installation.engine, HOST, ["cpu"]) == []
    finish(installation, holding)
    installation.query("UPDATE jobs SET queued_at = now() WHERE id = %s", holding["id"])
    assert [row and row["id"] for row in (claim(installation), claim(installation))] == [large, small]


def test_kind_that_uses_a_gpu_if_there_is_one_runs_on_a_cpu_host_too(installation: Installation) -> None:
    cpu_host = Claimant("c", "cpu-host", 600.0, (), 64_000)
    first, second = (submit(installation, gpus=1, gpus_optional=True) for _ in range(2))
    row = claim(installation, job_id=first)
    assert row is not None
    assert len(row["gpus"]) == 1
    see(installation, HOST, cpu=1)
    assert claim(installation, cpu_host) is None, "it is left to the host with GPUs while that one lives"
    installation.query("UPDATE workers SET last_seen_at = now() - interval '16 seconds'")
    row = claim(installation, cpu_host)
    assert row is not None
    assert (row["id"], row["gpus"]) == (second, [])


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"gpus": 5}, "a host with 5 GPUs"),
        ({"gpus": 1, "memory_mb": 65_000}, "a host with 1 GPU and 65000 MB of memory"),
        ({"gpus": 0, "memory_mb": 65_000}, "a host with 65000 MB of memory"),
        ({"gpus": 9, "gpus_optional": True}, None),
        ({"gpus": 4}, None),
    ],
)
def test_job_that_no_host_can_ever_fit_says_so(
    installation: Installation, resources: dict[str, Any], said: str | None
) -> None:
    see(installation, HOST, cpu=1)
    job_id = submit(installation, **resources)
    assert installation.job(job_id).waiting_for == ([said] if said else [])
    assert (claim(installation) is None) == bool(said)


def test_job_of_a_queue_that_nobody_serves_says_so(installation: Installation) -> None:
    see(installation, HOST, gpu=1)
    assert installation.job(submit(installation)).waiting_for == ["a worker for the queue cpu"]


def test_worker_gives_its_gpus_one_by_one_and_the_process_sees_its_own(installation: Installation) -> None:
    long = {"steps": 100_000, "step_seconds": 0.001, "rest_seconds": 0.02}
    jobs = [installation.submit(config=long) for _ in range(3)]
    installation.query("UPDATE jobs SET resources = resources || '{\"gpus\": 1}'")
    gpus = {"HEADWAY_GPUS": "0=1000,1=1000", "HEADWAY_SLOTS": "cpu=3", "HEADWAY_HOST_NAME": "real"}
    worker = installation.start_worker("cpu", **gpus)
    wait_until(lambda: sum(installation.job(job).state == "running" for job in jobs) == 2, what="two of three at work")
    running = [job for job in jobs if installation.job(job).state == "running"]
    seen: set[str] = set()
    for job in running:
        leader = installation.process_group(job)
        environment = Path(f"/proc/{leader}/environ").read_bytes()
        named = dict(line.split(b"=", 1) for line in environment.split(b"\0") if b"=" in line)
        seen.add(named[b"CUDA_VISIBLE_DEVICES"].decode())
        order = JobOrder.read(attempt_folder(installation.settings.headway_data_dir, job, 1))
        assert order.device == "cuda"
    assert seen == {"0", "1"}
    left = next(job for job in jobs if job not in running)
    assert installation.job(left).state == "queued"
    cancel_job(installation.engine, installation.runtime.signals, running[0])
    installation.wait_state(left, "running")
    for job in jobs:
        cancel_job(installation.engine, installation.runtime.signals, job)
    installation.wait_until_idle()
    assert installation.query("SELECT * FROM device_leases") == []
    installation.kill_worker(worker)  # it would look into the queue of the next test


def test_operations_tell_who_has_which_gpu_and_how_long_queues_make_wait(installation: Installation) -> None:
    see(installation, HOST, cpu=2, gpu=1)
    pair = [submit(installation, gpus=1, share_gpu=True) for _ in range(2)]
    for job_id in pair:
        assert claim(installation, replace(HOST, gpus=GPUS[1:2]), job_id)
    waiting = submit(installation, gpus=1)
    failed = claim(installation, job_id=submit(installation))
    assert failed is not None
    feed = new_feed(failed, HOST)
    ending = Ending(Outcome.FAILED, Failure(FailureClass.DIVERGED, "the loss is NaN"))
    finish_attempt(installation.engine, installation.runtime.signals, feed, ending, Patience(0))
    seen = read_operations(installation.engine)
    gpus = {gpu.id: [user.job_id for user in gpu.users] for gpu in seen.gpus if gpu.host == HOST.host}
    assert gpus == {"GPU-0": [], "GPU-1": pair, "GPU-2": [], "GPU-3": []}
    host = next(host for host in seen.hosts if host.name == HOST.host)
    assert (host.jobs, host.slots) == (pair, {"cpu": 2, "gpu": 1})
    queue = next(queue for queue in seen.queues if queue.queue == "cpu")
    assert (queue.queued, queue.running, queue.slots, queue.started_last_hour) == (1, 2, 2, 3)
    assert queue.oldest_wait_seconds is not None
    assert queue.median_wait_seconds is not None
    assert [(each.job_id, each.failure_class) for each in seen.failures] == [(failed["id"], "DIVERGED")]
    assert waiting in [job.id for job in seen.active]
