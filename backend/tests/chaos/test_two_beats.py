"""Two Beats at once, one of them killed: ticks are idempotent, and none is missed for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.storms import until_all_over
from tests.installation import Installation, open_installation, wait_until

Report = Callable[[str, str, str, str], None]
INTERVAL_SECONDS = 1.0
WORK = {"steps": 30, "step_seconds": 0.01, "inner": 2, "checkpoint_every": 10}


@pytest.fixture
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(
        postgres_url,
        redis_url,
        HEADWAY_RECOVER_INTERVAL_SECONDS=str(INTERVAL_SECONDS),
        HEADWAY_SLOTS="gpu=1,cpu=4,io=2,system=2",
    ) as opened:
        yield opened


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_two_beats_do_nothing_twice_and_one_is_enough(installation: Installation, report: Report) -> None:
    beats = [installation.start_worker("system", beat=True) for _ in range(2)]
    installation.start_worker("cpu")
    jobs = [installation.submit(config=WORK) for _ in range(10)]
    for job_id in jobs[:5]:
        # what a lost message and a lost lease leave behind: both Beats see it, one mends it
        installation.runtime.redis.flushall()
        installation.query("UPDATE jobs SET sent_at = NULL WHERE id = %s AND state = 'queued'", job_id)
    installation.kill_worker(beats[0])
    lost = installation.submit(config=WORK)
    installation.runtime.redis.flushall()
    began = time.monotonic()
    wait_until(lambda: installation.job(lost).state != "queued", timeout=30, what="the message sent again")
    noticed = time.monotonic() - began
    ended = until_all_over(installation, [*jobs, lost], timeout=60)
    attempts = [job.attempt for job in ended]
    report(
        "7 two Beats",
        "11 jobs, one Beat killed",
        f"attempts {sorted(set(attempts))}, noticed in {noticed:.1f} s",
        "once each",
    )
    assert [job.state for job in ended] == ["completed"] * 11
    assert attempts == [1] * 11
