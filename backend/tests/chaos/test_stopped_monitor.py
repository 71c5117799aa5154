"""A worker that stands still for ten minutes finds at most one tick of the monitor waiting."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.installation import Installation, open_installation, wait_until

Report = Callable[[str, str, str, str], None]
INTERVAL_SECONDS, STOP_SECONDS = 2.0, 600.0
SAMPLES = "SELECT at FROM host_samples WHERE host = %s AND seconds = 0 ORDER BY at"


def samples(installation: Installation, host: str) -> list[datetime]:
    return [row[0] for row in installation.query(SAMPLES, host)]


@pytest.mark.chaos
@pytest.mark.timeout(STOP_SECONDS + 120)
def test_ten_minutes_of_standing_still_leave_one_tick_at_most(
    postgres_url: str, redis_url: str, report: Report
) -> None:
    settings = {"SYSTEM_MONITOR_INTERVAL_SECONDS": str(INTERVAL_SECONDS)}
    with open_installation(postgres_url, redis_url, **settings) as installation:
        installation.start_worker("system", beat=True, HEADWAY_HOST_NAME="alder")
        worker = installation.start_worker("cpu", HEADWAY_HOST_NAME="birch")
        wait_until(lambda: samples(installation, "birch"), what="a sample")
        worker.send_signal(signal.SIGSTOP)
        try:
            before = len(samples(installation, "birch"))
            time.sleep(STOP_SECONDS)  # the blow itself, not a wait for something
        finally:
            worker.send_signal(signal.SIGCONT)
        wait_until(lambda: len(samples(installation, "birch")) >= before + 3, what="going on")
        after = samples(installation, "birch")[before:]
        ticks = len(samples(installation, "alder"))
    # what waited would be measured at once, one after the other: the second is a tick of its own time
    at_once = sum((at - after[0]).total_seconds() < INTERVAL_SECONDS / 2 for at in after)
    report(
        "9 stopped monitor",
        f"SIGSTOP for {STOP_SECONDS:g} s, {ticks} ticks meanwhile",
        f"{at_once} measured at once",
        "at most 1",
    )
    assert ticks >= STOP_SECONDS / INTERVAL_SECONDS * 0.9
    assert at_once <= 1
