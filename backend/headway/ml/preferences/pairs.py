"""Preference pairs as JSON lines: a prompt, the continuation that is preferred, and the one that is not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from headway.errors import FieldProblem, InvalidInputError

PAIRS_FILE = "pairs.jsonl"
SUFFIXES = (".jsonl", ".jsonl.gz")
MOST_PAIRS = 500_000
MOST_LINE_BYTES = 1 << 20
MOST_PROBLEMS = 5
FIELD = "config.preferences"


class Pair(NamedTuple):
    """One preference, and where it was read ("line 3 of pairs.jsonl")."""

    prompt: str
    chosen: str
    rejected: str
    place: str


def write_pair(prompt: str, chosen: str, rejected: str) -> bytes:
    """One line."""
    values = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def read_pairs(folder: Path) -> list[Pair]:
    """All pairs of a folder's JSON lines, in the order of their files' paths; empty lines are passed over.

    Raises InvalidInputError that names the first lines that are not pairs, each with what is wrong in it.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    for place, line in _lines(folder):
        values, problem = _parsed(line)
        if problem:
            problems.append(f"{place}: {problem}")
        else:
            pairs.append(Pair(values["prompt"], values["chosen"], values["rejected"], place))
        if len(problems) == MOST_PROBLEMS or len(pairs) > MOST_PAIRS:
            break
    if len(pairs) > MOST_PAIRS:
        problems.append(f"it holds more than {MOST_PAIRS:,} pairs: give it fewer")
    if not pairs and not problems:
        problems.append(f"no pairs in it: it needs files ending in {' or '.join(SUFFIXES)}")
    if problems:
        raise InvalidInputError(*(FieldProblem(FIELD, problem) for problem in problems))
    return pairs


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for path in folder.rglob("*") if path.name.endswith(SUFFIXES)):
        with path.open("rb") as raw:
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)
            number = 0
            while line := file.readline(MOST_LINE_BYTES):
                number += 1
                if line.strip():
                    yield f"line {number} of {path.relative_to(folder)}", line


def _parsed(line: bytes) -> tuple[dict[str, str], str]:
    """The values of a line, or what is wrong with it."""
    if len(line) == MOST_LINE_BYTES:
        return {}, f"longer than {MOST_LINE_BYTES:,} bytes"
    try:
        values: Any = json.loads(line)
    except ValueError as error:
        return {}, f"not JSON ({error})"
    if not isinstance(values, dict):
        return {}, "not an object with prompt, chosen and rejected"
    for name in ("prompt", "chosen", "rejected"):
        if name not in values:
            return {}, f"{name!r} is missing"
        if not isinstance(values[name], str) or not values[name]:
            return {}, f"{name!r} must be a text that is not empty"
    if values["chosen"] == values["rejected"]:
        return {}, "'chosen' and 'rejected' are the same"
    return cast("dict[str, str]", values), ""
