"""Figures for eyes."""

import pytest

from headway.cli.show import counters, duration, number, plain_line, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (185, "3:05"), (3723, "1:02:03"), (183_600, "2 d 03:00")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (456, "456"),
        (9999, "9999"),
        (38_600, "38.6 k"),
        (999_400, "999 k"),
        (999_600, "1 M"),
        (1_234_567, "1.23 M"),
        (5.1e9, "5.1 G"),
        (0.123456, "0.1235"),
        (-12_345, "-12.3 k"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_sizes_have_a_unit() -> None:
    assert [size(count) for count in (None, 12, 41_000_000)] == ["–", "12 B", "41 MB"]


def test_a_counter_without_a_total_shows_its_count() -> None:
    job = {"counters": [{"unit": "epoch", "current": 1, "total": 3}, {"unit": "file", "current": 7, "total": None}]}
    assert counters(job) == "epoch 1/3 · file 7"


def test_the_mean_of_uneven_batches_reads_as_a_whole_number() -> None:
    epoch, example = (
        {"unit": "epoch", "current": 0, "total": 2.5},
        {"unit": "example", "current": 1.962, "total": 3.923},
    )
    assert counters({"counters": [epoch, example]}) == "epoch 0/2.5 · example 2/4"


def test_a_plain_line_says_where_a_job_stands() -> None:
    job = {
        "name": "mine",
        "kind": "sae.train",
        "state": "running",
        "phase": "training",
        "percent": 45.12,
        "counters": [{"unit": "step", "current": 456, "total": 1000}],
        "rate": 38_600.0,
        "rate_unit": "row",
        "eta_seconds": 63.0,
    }
    assert " ".join(plain_line(job).split()) == "mine training 45.12 % step 456/1000 38.6 k row/s ETA 1:03"
    banded = job | {"eta_low_seconds": 50.0, "eta_high_seconds": 81.0, "data_age_seconds": 75.0}
    assert plain_line(banded).endswith("ETA 1:03 (50 s–1:21)")
    assert "training, silent for 1:15" in plain_line(banded)
