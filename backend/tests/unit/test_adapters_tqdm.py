"""tqdm as the way a job's loops report: the same calls as ever, counters instead of bars."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tqdm.std import tqdm as real_tqdm

from headway.jobs.adapters.tqdm import job_tqdm
from headway.jobs.context import JobContext
from tests.adapter_runs import Counts, Job, last_counts, make_job, snapshots


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path / "job", "working")


def live(job: Job) -> Counts:
    """What the sampler would tell now."""
    return [(c.unit, c.current, c.total) for c in job.reporter._counters]


def test_nested_bars_are_nested_counters(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Counts] = []

    def work(context: JobContext) -> None:
        tqdm = job_tqdm(context)
        with context.phase("working"):
            for epoch in tqdm(range(3), unit="epoch", desc="Epochs"):
                for item in tqdm([1, 2, 3, 4], leave=False):
                    if (epoch, item) == (1, 3):
                        seen.append(live(job))
                        tqdm.write("half way")

    ran = job.run(work)
    assert seen == [[("epoch", 1, 3), ("item", 2, 4)]]
    assert last_counts(ran, "working") == [("epoch", 3, 3)]
    assert live(job) == []
    printed = capsys.readouterr()
    assert printed.out + printed.err == "half way\n"


def test_manual_updates_move_the_counter_and_unknown_totals_stay_unknown(job: Job) -> None:
    seen: list[Counts] = []

    def work(context: JobContext) -> None:
        tqdm = job_tqdm(context)
        with context.phase("working"), tqdm(unit="B", unit_scale=True, initial=10) as bar:
            bar.update(90)
            bar.update()
            seen.append(live(job))
            bar.total = 500
            bar.refresh()
            seen.append(live(job))
            bar.reset(total=7)
            bar.update(2)
            seen.append(live(job))

    job.run(work)
    assert seen == [[("B", 101, None)], [("B", 101, 500)], [("B", 2, 7)]]


def test_generator_without_length_is_counted_without_total(job: Job) -> None:
    def work(context: JobContext) -> None:
        with context.phase("working"):
            assert list(job_tqdm(context)(n for n in range(5))) == [0, 1, 2, 3, 4]

    assert last_counts(job.run(work), "working") == [("item", 5, None)]


def test_postfix_becomes_metrics_at_the_step_of_the_innermost_bar_over_all_epochs(job: Job) -> None:
    def work(context: JobContext) -> None:
        tqdm = job_tqdm(context, metrics_from_step=100)
        with context.phase("working"):
            for epoch in (outer := tqdm(range(2), unit="epoch")):
                for n in (bar := tqdm(range(3), unit="step")):
                    bar.set_postfix(loss=n / 2, note="fine", **{"acc %": 1})
                outer.set_postfix({"epoch_loss": epoch})

    ran = job.run(work)
    assert ran.metrics["loss"] == {100: 0.0, 101: 0.5, 102: 1.0, 103: 0.0, 104: 0.5, 105: 1.0}
    assert ran.metrics["epoch_loss"] == {103: 0.0, 106: 1.0}
    assert set(ran.metrics) == {"loss", "acc__", "epoch_loss"}


def test_postfix_is_not_logged_unless_asked_for(job: Job) -> None:
    def work(context: JobContext) -> None:
        with context.phase("working"), job_tqdm(context)(total=2, postfix={"loss": 3}) as bar:
            bar.set_postfix(loss=1.0)

    assert job.run(work).metrics == {}


def test_bars_of_other_threads_are_left_out_and_still_count(job: Job) -> None:
    counted: list[float] = []

    def work(context: JobContext) -> None:
        tqdm = job_tqdm(context)

        def download() -> None:
            for _ in (bar := tqdm(range(50))):
                pass
            counted.append(bar.n)

        with context.phase("working"), tqdm(total=2, unit="file") as files:
            for _ in range(2):
                thread = threading.Thread(target=download)
                thread.start()
                thread.join(10)
                files.update()

    assert last_counts(job.run(work), "working") == [("file", 2, 2)]
    assert counted == [50, 50]


def test_disabled_bars_do_not_count_but_those_off_for_want_of_a_terminal_do(job: Job) -> None:
    def work(context: JobContext) -> None:
        tqdm = job_tqdm(context)
        with context.phase("working"):
            for _ in tqdm(range(2), disable=None, unit="row"):
                for _ in tqdm(range(9), disable=True):
                    pass

    ran = job.run(work)
    assert last_counts(ran, "working") == [("row", 2, 2)]
    assert {len(snapshot.counters) for snapshot in snapshots(ran)} <= {0, 1}


def test_loop_left_early_takes_its_counter_away(job: Job) -> None:
    def work(context: JobContext) -> None:
        with context.phase("working"):
            for n in job_tqdm(context)(range(10)):
                if n == 4:
                    break
            assert live(job) == []

    job.run(work)


def test_is_a_tqdm(job: Job) -> None:
    made = job_tqdm(job.context)
    assert issubclass(made, real_tqdm)
    with job.context.phase("working"), made.wrapattr((job.folder / "f").open("wb"), "write", total=4) as file:
        file.write(b"1234")
        assert live(job) == [("item", 4, 4)]
    job.reporter.close()
