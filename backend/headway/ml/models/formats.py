"""What a file is, by its first bytes and its header, whatever it is called; imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from headway.errors import HeadwayError

#: How files begin that can run code when they are loaded, or that are no weights at all.
_KNOWN_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip with a pickle inside, as torch.save writes it: it can run code when loaded"),
    (b"\x80", "a pickle: it can run code when loaded"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file it points to: run `git lfs pull` in its folder"),
    (b"<", "a page, not a file"),
)


class FormatError(HeadwayError):
    """A file is not a whole one of the format that its name says."""

    title = "Wrong format"


def check_format(path: Path, name: str) -> None:
    """Hold a weights or parquet file to the format that `name` says; others pass. Raises FormatError."""
    suffix = name.rpartition(".")[2].lower()
    check = _CHECKS.get(suffix)
    if check is None:
        return
    try:
        check(path)
    except (SafetensorError, ValueError, IndexError, KeyError, OSError) as error:
        reason = _looks_like(path) or str(error)
        raise FormatError(f"{name} is not a whole {suffix} file ({reason})") from error


def _check_safetensors(path: Path) -> None:
    with safe_open(path, framework="numpy"):
        return  # its header was read, and held to the file's size


def _check_gguf(path: Path) -> None:
    from gguf import GGUFReader

    if _start(path)[:4] != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    GGUFReader(path)  # maps every tensor that its header names


def _check_parquet(path: Path) -> None:
    from pyarrow.parquet import read_metadata

    read_metadata(path)


_CHECKS: dict[str, Callable[[Path], None]] = {
    "safetensors": _check_safetensors,
    "gguf": _check_gguf,
    "parquet": _check_parquet,
}


def _looks_like(path: Path) -> str:
    start = _start(path)
    return next((f"it is {what}" for magic, what in _KNOWN_STARTS if start.startswith(magic)), "")


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)
