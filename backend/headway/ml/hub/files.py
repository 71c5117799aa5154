"""Which files of a source are taken, and whether they are what they say: weights that cannot run code, whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Literal

from safetensors import SafetensorError, safe_open

from headway.ml.hub.errors import SourceError, WrongHashError

SourceType = Literal["model", "dataset"]
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.h5", "*.msgpack", "*.joblib")
MODEL_WEIGHTS = ("*.safetensors", "*.gguf")
MODEL_EXTRAS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "LICENSE*", "README.md")
DATASET_FILES = ("*.txt", "*.md", "*.rst", "*.jsonl", "*.jsonl.gz", "LICENSE*")
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source: its path in the source, size in bytes, and the hashes its source names (lower-case hex)."""

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None


def choose_files(
    files: Iterable[SourceFile], source_type: SourceType, include: Sequence[str] = ()
) -> tuple[list[SourceFile], list[SourceFile]]:
    """What to take and what is left out. `include` are glob patterns that narrow the choice, never widen it.

    Raises SourceError when nothing usable is there, naming what was found instead.
    """
    found = sorted(files, key=lambda file: file.path)
    wanted = [file for file in found if _usable(file, source_type) and _included(file, include)]
    if source_type == "model":
        wanted = _one_format(wanted)
    needed = MODEL_WEIGHTS if source_type == "model" else DATASET_FILES[:-1]
    if not any(_matches(file, needed) for file in wanted):
        raise SourceError(_nothing_usable(found, source_type))
    return wanted, [file for file in found if file not in wanted]


def _usable(file: SourceFile, source_type: SourceType) -> bool:
    patterns = (*MODEL_WEIGHTS, *MODEL_EXTRAS) if source_type == "model" else DATASET_FILES
    return _matches(file, patterns) and not _matches(file, PICKLES) and _stays_inside(file.path)


def _stays_inside(path: str) -> bool:
    """Neither hidden nor a way out of the folder it is put in."""
    parts = PurePosixPath(path).parts
    return not any(part.startswith((".", "/")) for part in parts)


def _included(file: SourceFile, include: Sequence[str]) -> bool:
    return not include or any(fnmatch(file.path, pattern) for pattern in include)


def _one_format(files: list[SourceFile]) -> list[SourceFile]:
    """Safetensors where there are any; the GGUF copies of the same weights are left out then."""
    if any(_matches(file, ("*.safetensors",)) for file in files):
        return [file for file in files if not _matches(file, ("*.gguf",))]
    return files


def _matches(file: SourceFile, patterns: Sequence[str]) -> bool:
    name = PurePosixPath(file.path).name
    return any(fnmatch(name, pattern) for pattern in patterns)


def _nothing_usable(found: list[SourceFile], source_type: SourceType) -> str:
    pickles = [file.path for file in found if _matches(file, PICKLES)]
    if source_type == "model" and pickles:
        return (
            f"its weights are pickled ({', '.join(pickles[:3])}), which can run code when loaded: "
            "use a repository or revision with safetensors or GGUF weights"
        )
    names = ", ".join(file.path for file in found[:5]) or "nothing"
    kinds = "safetensors or GGUF weights" if source_type == "model" else "text or JSON lines (.txt .md .rst .jsonl)"
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
            "if it happens again the source is damaged"
        )
    _check_format(path, expected.path)
    return sha256.hexdigest()


def _check_format(path: Path, name: str) -> None:
    try:
        if name.endswith(".safetensors"):
            with safe_open(path, framework="numpy"):
                return
        if name.endswith(".gguf") and _magic(path) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
    except (SafetensorError, ValueError) as error:
        path.unlink()
        raise SourceError(
            f"{name} is not a whole {name.rpartition('.')[2]} file ({error}); it was thrown away"
        ) from error


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)
