"""Which checkpoint an attempt goes on from: the newest on the curve that clients see, of those that verify."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.series import BEGAN_ANEW
from headway.jobs.checkpoints import save_checkpoint
from headway.jobs.order import JobOrder
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.finish_attempt import finish_attempt
from headway.services.locate_files import attempt_folder
from headway.services.prepare_attempt import prepare_attempt
from headway.services.start_attempt import begin_attempt, drop_superseded
from headway.storage import journal
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.rows import Row
from tests.installation import Installation, open_installation

ME = Claimant("me", "here", 30.0)


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


def row_of(job_id: str, attempt: int, step: int, *, best: bool = False) -> Row:
    """A checkpoint as a drain stores it."""
    place = {"host": ME.host, "path": f"checkpoints/step-{step:012d}", "bytes": 1}
    return {"id": new_id(), "job_id": job_id, "attempt": attempt, "step": step, "best": best, "metrics": {}} | place


class Lives:
    """One job, attempt by attempt, with checkpoints as its process would leave them."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.job_id = installation.submit()

    def attempt(self, *steps: int, damaged: tuple[int, ...] = (), best: int | None = None) -> JobOrder:
        """Run one that leaves checkpoints at `steps` and is lost; answers what it was told to go on from."""
        engine, signals = self._installation.engine, self._installation.runtime.signals
        row = claim_job(engine, signals, ME, "cpu", self.job_id)
        assert row is not None
        folder, order = prepare_attempt(engine, self._installation.settings, row, {})
        feed = new_feed(row, ME)
        begin_attempt(engine, signals, feed, {}, order)
        drop_superseded(engine, self._installation.settings.headway_data_dir, ME.host, row, order)
        for step in steps:
            self._leave(folder, row, step, best=step == best)
            if step in damaged:
                (folder / f"checkpoints/step-{step:012d}" / "state").write_text("not what it was")
        finish_attempt(engine, signals, feed, Ending(Outcome.LOST), Patience(50))
        return order

    def _leave(self, folder: Path, row: Row, step: int, *, best: bool) -> None:
        save_checkpoint(folder / "checkpoints", step, lambda into: (into / "state").write_text(str(step)) and None)
        row = row_of(self.job_id, row["attempt"], step, best=best)
        with transaction(self._installation.engine) as connection:
            journal.add_checkpoints(connection, [row])

    def told(self, order: JobOrder) -> list[tuple[int, int]]:
        """(attempt, step) of what an order offers."""
        paths = [Path(path) for path in order.resume_from]
        return [(int(path.parents[1].name), int(path.name.removeprefix("step-"))) for path in paths]

    def kept(self) -> list[tuple[int, int]]:
        """(attempt, step) of the checkpoints that are there, in the database and on the disk."""
        data_dir = self._installation.settings.headway_data_dir
        with transaction(self._installation.engine) as connection:
            rows = journal.checkpoints_of(connection, self.job_id)
        folders = list((data_dir / "jobs" / self.job_id).glob("*/checkpoints/step-*"))
        assert {attempt_folder(data_dir, self.job_id, row["attempt"]) / row["path"] for row in rows} == set(folders)
        return sorted((row["attempt"], row["step"]) for row in rows)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(installation: Installation) -> None:
    lives = Lives(installation)
    first = lives.attempt(10, 20, 30, damaged=(30,))
    second = lives.attempt(25)
    assert (first.resume_step, lives.told(first)) == (None, [])
    assert (second.resume_step, lives.told(second)) == (20, [(1, 20), (1, 10)])


def test_what_lies_on_a_branch_that_was_left_is_never_gone_on_from(installation: Installation) -> None:
    lives = Lives(installation)
    lives.attempt(10, 20, damaged=(20,))
    lives.attempt()
    folder = attempt_folder(installation.settings.headway_data_dir, lives.job_id, 1)
    save_checkpoint(folder / "checkpoints", 25, lambda into: (into / "state").write_text("25") and None)
    with transaction(installation.engine) as connection:  # one of the first attempt turns up late, whole
        journal.add_checkpoints(connection, [row_of(lives.job_id, 1, 25)])
    third = lives.attempt(12, 14)
    assert lives.told(third) == [(1, 10)]
    assert lives.told(lives.attempt()) == [(3, 14), (3, 12), (1, 10)]


def test_without_any_checkpoint_that_verifies_it_begins_anew(installation: Installation) -> None:
    lives = Lives(installation)
    lives.attempt(10, damaged=(10,))
    second = lives.attempt(5)
    assert (second.resume_step, second.resume_from) == (None, [])
    rows = installation.query("SELECT resumed_from_step FROM attempts WHERE job_id = %s ORDER BY number", lives.job_id)
    assert rows == [(BEGAN_ANEW,), (BEGAN_ANEW,)]
    assert lives.told(lives.attempt()) == [(2, 5)]


def test_what_a_job_keeps_does_not_grow_with_its_attempts(installation: Installation) -> None:
    lives = Lives(installation)
    lives.attempt(10, 20, best=10)
    for begin in (30, 50, 70):
        lives.attempt(begin, begin + 10)
        lives.attempt()
    assert lives.kept() == [(1, 10), (6, 70), (6, 80)]
