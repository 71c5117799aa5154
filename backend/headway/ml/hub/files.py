"""Which files of a source are taken, and whether they are what they say: weights that cannot run code, whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Literal

from headway.ml.hub.errors import SourceError, WrongHashError
from headway.ml.models.folder import MODEL_WEIGHTS, PICKLED, is_pickle
from headway.ml.models.formats import FormatError, check_format
from headway.ml.text.formats import TEXT_SUFFIXES
from headway.ml.text.splits import of_split

SourceType = Literal["model", "dataset"]
MODEL_EXTRAS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
CARD = "README.md"
ABOUT = (CARD, "LICENSE*")
TEXT_FILES = tuple(f"*{suffix}" for suffix in TEXT_SUFFIXES)
RECORD_FILE = "source.json"
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source: its path in the source, size in bytes, and the hashes its source names (lower-case hex)."""

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which files are wanted. `include` are glob patterns that narrow what is usable, never widen it; so does the
    `split` of a dataset."""

    type: SourceType
    include: Sequence[str] = ()
    split: str | None = None


def choose_files(files: Iterable[SourceFile], choice: Choice) -> tuple[list[SourceFile], list[SourceFile]]:
    """What to take and what is left out; card and licence come along in any case.

    Raises SourceError when nothing usable is there, naming what was found instead; InvalidInputError when there are
    splits, and none of that name.
    """
    found = sorted(files, key=lambda file: file.path)
    usable = [file for file in found if _stays_inside(file.path)]
    about = [file for file in usable if is_about(file.path)]
    content = [
        file
        for file in usable
        if not is_about(file.path) and _usable(file, choice.type) and _included(file, choice.include)
    ]
    is_model = choice.type == "model"
    content = _one_copy(content) if is_model else of_split(content, choice.split, lambda file: file.path)
    needed = MODEL_WEIGHTS if is_model else TEXT_FILES
    if not any(_matches(file, needed) for file in content):
        raise SourceError(_nothing_usable(found, choice.type))
    wanted = sorted([*about, *content], key=lambda file: file.path)
    return wanted, [file for file in found if file not in wanted]


def _usable(file: SourceFile, source_type: SourceType) -> bool:
    patterns = (*MODEL_WEIGHTS, *MODEL_EXTRAS) if source_type == "model" else TEXT_FILES
    return _matches(file, patterns) and not is_pickle(PurePosixPath(file.path).name)


def is_about(path: str) -> bool:
    """Whether a file tells of its source: the card or the licence."""
    return any(fnmatch(path, pattern) for pattern in ABOUT)


def _stays_inside(path: str) -> bool:
    """Neither hidden nor a way out of the folder it is put in."""
    parts = PurePosixPath(path).parts
    return not any(part.startswith((".", "/")) for part in parts)


def _included(file: SourceFile, include: Sequence[str]) -> bool:
    return not include or any(fnmatch(file.path, pattern) for pattern in include)


def _one_copy(files: list[SourceFile]) -> list[SourceFile]:
    """The weights once: of the copies that a source holds, those that transformers reads first."""
    for better, worse in (("*.safetensors", "*.gguf"), ("model*.safetensors", "consolidated*.safetensors")):
        if any(_matches(file, (better,)) for file in files):
            files = [file for file in files if not _matches(file, (worse,))]
    return files


def _matches(file: SourceFile, patterns: Sequence[str]) -> bool:
    name = PurePosixPath(file.path).name
    return any(fnmatch(name, pattern) for pattern in patterns)


def _nothing_usable(found: list[SourceFile], source_type: SourceType) -> str:
    pickles = [file.path for file in found if is_pickle(PurePosixPath(file.path).name)]
    if source_type == "model" and pickles:
        return PICKLED.format(names=", ".join(pickles[:3]))
    names = ", ".join(file.path for file in found[:5]) or "nothing"
    kinds = "safetensors or GGUF weights" if source_type == "model" else f"text ({' '.join(TEXT_SUFFIXES)})"
    return f"no {kinds} found; it holds {names}"


def verify_file(path: Path, expected: SourceFile, on_bytes: Callable[[int], None]) -> str:
    """Hash a file, compare with what the source names, check its format; answers the sha256.

    `on_bytes(n)` counts. A file that fails is deleted. Raises WrongHashError or SourceError.
    """
    sha256 = hashlib.sha256()
    git_sha1 = hashlib.sha1(b"blob %d\0" % path.stat().st_size)  # how git names a file's content
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            sha256.update(block)
            if expected.sha256 is None:
                git_sha1.update(block)
            on_bytes(len(block))
    wrong = expected.sha256 not in (None, sha256.hexdigest()) or (
        expected.sha256 is None and expected.git_sha1 not in (None, git_sha1.hexdigest())
    )
    if wrong:
        path.unlink()
        raise WrongHashError(
            f"{expected.path} does not have the hash its source names and was thrown away: retry; "
            "if it happens again the source is damaged, choose another revision"
        )
    try:
        check_format(path, expected.path)
    except FormatError as error:
        path.unlink()
        raise SourceError(f"{error}; it was thrown away: choose another revision") from error
    return sha256.hexdigest()
