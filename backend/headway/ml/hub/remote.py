"""A file on a hub, read in parts as if it lay here."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from headway.ml.hub.download import RangeDownloader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DEFAULT_ENDPOINT = "https://huggingface.co"
READ_AHEAD_BYTES = 4 << 20


def endpoint() -> str:
    """The hub that HF_ENDPOINT names, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def token() -> str | None:
    """HF_TOKEN, if it is set."""
    return os.environ.get("HF_TOKEN") or None


def open_remote(url: str, size: int) -> io.BufferedReader:
    """Open a file of `size` bytes for reading and seeking; the token goes to the hub of HF_ENDPOINT alone.

    Reads raise SourceError and SourceNetworkError.
    """
    known = token() if url.startswith(f"{endpoint()}/") else None
    return io.BufferedReader(_RangeReader(url, size, known), READ_AHEAD_BYTES)


class _RangeReader(io.RawIOBase):
    def __init__(self, url: str, size: int, known: str | None) -> None:
        self._url, self._size, self._at = url, size, 0
        self._downloader = RangeDownloader(known)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        stop = min(self._at + len(target), self._size)
        if stop <= self._at:
            return 0
        content = self._downloader.read(self._url, self._at, stop)
        target[: len(content)] = content
        self._at = stop
        return len(content)

    def close(self) -> None:
        self._downloader.close()
        super().close()
