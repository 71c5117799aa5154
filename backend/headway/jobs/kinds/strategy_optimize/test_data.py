"""Prices are read from what people have, and what cannot be right is named by its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from headway.errors import InvalidInputError
from headway.jobs.kinds.strategy_optimize.candles import Candles, check
from headway.jobs.kinds.strategy_optimize.reading import find_file, read_example, read_file

HEADER = "Time,Open,High,Low,Close,Volume"


def rows_of(count: int = 60) -> list[list[str]]:
    """Good rows by the hour."""
    return [[f"2024-01-{1 + n // 24:02d} {n % 24:02d}:00:00", "10", "12", "9", "11", "100"] for n in range(count)]


def written(folder: Path, rows: list[list[str]], header: str = HEADER) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def loaded(path: Path, time_format: str | None = None) -> Candles:
    candles = read_file(path, "prices", time_format, "path")
    check(candles, field="path", most_gap_days=7)
    return candles


def test_example_is_whole() -> None:
    candles = read_example("eurusd-1h")
    assert check(candles, field="example", most_gap_days=7) == []
    assert (len(candles), candles.step_seconds, candles.days_per_year) == (6225, 3600, 252)


def test_csv_and_parquet_of_the_same_prices_are_the_same(tmp_path: Path) -> None:
    candles = loaded(written(tmp_path, rows_of()))
    columns = {"date": candles.time.astype("datetime64[s]"), "volume": candles.volume}
    columns |= {name: getattr(candles, name) for name in ("open", "high", "low", "close")}
    parquet.write_table(pyarrow.table(columns), tmp_path / "prices.parquet")
    assert loaded(tmp_path / "prices.parquet").sha256 == candles.sha256
    assert candles.time[0] == np.datetime64("2024-01-01T00:00", "s").astype(int)


@pytest.mark.parametrize(
    ("texts", "time_format"),
    [
        (lambda at: str(at), None),
        (lambda at: str(at * 1000), None),
        (lambda at: f"{np.datetime64(at, 's')}Z", None),
        (lambda at: np.datetime64(at, "s").item().strftime("%d.%m.%Y %H:%M"), "%d.%m.%Y %H:%M"),
    ],
)
def test_times_are_read_in_the_usual_formats(tmp_path: Path, texts, time_format: str | None) -> None:
    first = 1_704_067_200
    rows = [[texts(first + n * 3600), "10", "12", "9", "11", "1"] for n in range(60)]
    assert loaded(written(tmp_path, rows), time_format).time.tolist() == [first + n * 3600 for n in range(60)]


def test_volume_may_be_left_out(tmp_path: Path) -> None:
    rows = [row[:5] for row in rows_of()]
    assert not loaded(written(tmp_path, rows, "date,open,high,low,close")).volume.any()


@pytest.mark.parametrize(
    ("row", "column", "value", "said"),
    [
        (17, 4, "nan", r"row 18 \(2024-01-01T17:00:00Z\): close is not a number"),
        (17, 4, "", r"row 18 .*: close is not a number"),
        (17, 4, "ten", r"row 18: close is 'ten', not a number"),
        (3, 1, "0", r"row 4 .*: open is not above zero"),
        (3, 5, "-1", r"row 4 .*: volume is below zero"),
        (3, 2, "8", r"row 4 .*: high is below low"),
        (3, 4, "13", r"row 4 .*: close lies outside low to high"),
        (5, 0, "2024-01-01 04:00:00", r"row 6 .*: has the same time as the row before"),
        (5, 0, "2023-12-31 23:00:00", r"row 6 .*: is older than the row before"),
        (59, 0, "2024-02-01 00:00:00", r"row 60 .*: comes more than 7 days after the row before"),
        (5, 0, "yesterday", r"row 6: 'yesterday' is not a time"),
    ],
)
def test_what_cannot_be_right_is_named_by_its_row(tmp_path: Path, row: int, column: int, value: str, said: str) -> None:
    rows = rows_of()
    rows[row][column] = value
    with pytest.raises(InvalidInputError, match=rf"config\.path: {said}"):
        loaded(written(tmp_path, rows))


def test_files_that_are_no_prices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="has no column time, close; it has a, open, high, low"):
        loaded(written(tmp_path, [["1", "1", "1", "1"]], "a,open,high,low"))
    with pytest.raises(InvalidInputError, match="3 rows are too few"):
        loaded(written(tmp_path, rows_of(3)))
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(InvalidInputError, match=r"broken\.parquet cannot be read"):
        loaded(tmp_path / "broken.parquet")
    with pytest.raises(InvalidInputError, match=r"holds 2 files of \.csv or \.parquet; it must be one"):
        find_file(tmp_path)
