"""Reads candles from CSV and Parquet files, and the examples that come with packages."""

from __future__ import annotations

import importlib
import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.strategy_optimize.candles import PRICES, Candles, Integers, made
from headway.jobs.kinds.strategy_optimize.config import EXAMPLES, Example

SUFFIXES = (".csv", ".parquet")
#: What columns are called by those who make such files; case does not matter.
NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date", "open_time", "gmt time"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume", "vol", "tick_volume"),
}
MILLISECONDS_FROM = 10**11  # seconds so large would be the year 5138


def read_example(example: Example) -> Candles:
    """The series of a package."""
    source = EXAMPLES[example]
    spec = importlib.util.find_spec(source.package)
    assert spec is not None  # the kind requires the package
    assert spec.submodule_search_locations
    return read_file(Path(spec.submodule_search_locations[0]) / source.file, example, source.time_format, "example")


def find_file(folder: Path) -> Path:
    """The one file of candles in a folder. Raises InvalidInputError."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(found) != 1:
        raise _problem("dataset", f"holds {len(found)} files of {' or '.join(SUFFIXES)}; it must be one")
    return found[0]


def read_file(path: Path, name: str, time_format: str | None, field: str) -> Candles:
    """Read a file. Raises InvalidInputError that names `field`, and the row where there is one."""
    if path.suffix.lower() not in SUFFIXES:
        raise _problem(field, f"{path.name} must end in {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise _problem(field, f"there is no file {path} on the host that runs the job")
    try:
        table = _read_table(path)
    except (OSError, ValueError) as error:  # what pyarrow raises is a ValueError
        raise _problem(field, f"{path.name} cannot be read: {error}") from None
    columns = _columns(table, field)
    found: dict[str, npt.NDArray[Any]] = {
        column: _numbers(table.column(place), column, field) for column, place in columns.items() if column != "time"
    }
    found["time"] = _times(table.column(columns["time"]), time_format, field)
    return made(name, found)


def _read_table(path: Path) -> Any:
    if path.suffix.lower() == ".parquet":
        return importlib.import_module("pyarrow.parquet").read_table(path)
    csv = importlib.import_module("pyarrow.csv")
    header = csv.open_csv(path).schema.names
    string = importlib.import_module("pyarrow").string
    # times are read by us: their formats are many, and their errors should name the row
    types = {name: string() for name in header if name.strip().lower() in NAMES["time"]}
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))


def _columns(table: Any, field: str) -> dict[str, int]:
    header = [str(name).strip().lower() for name in table.column_names]
    found = {
        column: next(header.index(name) for name in names if name in header)
        for column, names in NAMES.items()
        if any(name in header for name in names)
    }
    missing = [column for column in ("time", *PRICES) if column not in found]
    if missing:
        raise _problem(field, f"has no column {', '.join(missing)}; it has {', '.join(header)}")
    return found


def _numbers(column: Any, name: str, field: str) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)  # nulls become NaN
    except ValueError:
        texts: list[object] = column.to_pylist()
        row = next(number for number, text in enumerate(texts) if not _is_number(text))
        raise _problem(field, f"row {row + 1}: {name} is {texts[row]!r}, not a number") from None


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return text is None
    return True


def _times(column: Any, time_format: str | None, field: str) -> Integers:
    kind = str(column.type)
    if kind.startswith(("timestamp", "date", "int", "uint")) and not column.null_count:
        if kind.startswith(("timestamp", "date")):
            column = column.cast("timestamp[s]", safe=False)
        numbers: Integers = column.cast("int64").to_numpy()
        return np.where(numbers >= MILLISECONDS_FROM, numbers // 1000, numbers)
    texts: list[Any] = column.to_pylist()
    times = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        try:
            times[row] = _seconds(text, time_format)
        except (ValueError, TypeError, OverflowError):
            mend = "write it as 2024-01-31 14:00:00 or in Unix seconds, or name its time_format"
            raise _problem(field, f"row {row + 1}: {text!r} is not a time; {mend}") from None
    return times


def _seconds(text: Any, time_format: str | None) -> int:
    if isinstance(text, str):
        if time_format:
            return _unix(datetime.strptime(text.strip(), time_format))
        if not text.strip().replace(".", "", 1).isdigit():
            return _unix(datetime.fromisoformat(text.strip()))
    elif isinstance(text, datetime):
        return _unix(text)
    number = float(text)
    return int(number / 1000 if number >= MILLISECONDS_FROM else number)


def _unix(moment: datetime) -> int:
    """Times that name no zone are UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))
