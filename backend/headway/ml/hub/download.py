"""A downloader that goes on where it was, in this process or the next: ranges into a part file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from headway.ml.hub.errors import SourceError, SourceNetworkError

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
FRUITLESS_TRIES = 5
LONGEST_WAIT_SECONDS = 30.0
TICK_SECONDS = 0.25
REFUSALS = {
    401: "may not be read without a token: set HF_TOKEN",
    403: "is gated or private: ask for access on its page and set HF_TOKEN",
    404: "is not there any more",
}


class _TryAgainError(Exception):
    """The server answered, but not with what was asked for; a later try may do."""


class RangeDownloader:
    """Downloads files by Range requests. `stall_seconds` without a byte count as a broken connection."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = STALL_SECONDS) -> None:
        # httpx drops the Authorization header by itself where a redirect leads to another host.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(stall_seconds, connect=CONNECT_SECONDS)
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)

    def __enter__(self) -> RangeDownloader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def download(self, url: str, part: Path, size: int, on_bytes: Callable[[int], None]) -> None:
        """Fill `part` up to `size` bytes, keeping what it holds already.

        `on_bytes(bytes in the part file)` is called for each chunk and while waiting to try again; it may raise to end.
        Raises SourceError where trying again cannot help, SourceNetworkError after `FRUITLESS_TRIES` tries without a
        byte, OSError when the disk is full. The part file stays, whichever it is.
        """
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        progress = _Progress(part)
        tries = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, _TryAgainError)),
            wait=wait_exponential_jitter(multiplier=0.3, max=LONGEST_WAIT_SECONDS, jitter=0.3),
            stop=progress.is_over,
            sleep=lambda seconds: _wait(seconds, lambda: on_bytes(part.stat().st_size)),
            reraise=True,
        )
        try:
            tries(self._fill, url, part, size, on_bytes)
        except (httpx.TransportError, _TryAgainError) as error:
            raise SourceNetworkError(
                f"{url}: {error or type(error).__name__} after {FRUITLESS_TRIES} tries without a byte. "
                "Retry later: what was downloaded is kept"
            ) from error

    def _fill(self, url: str, part: Path, size: int, on_bytes: Callable[[int], None]) -> None:
        start = part.stat().st_size
        if start > size:
            start = 0
        if start == size:
            on_bytes(size)
            return
        with self._client.stream("GET", url, headers={"Range": f"bytes={start}-{size - 1}"}) as response:
            start = _offset_of(response, start)
            with part.open("r+b") as file:
                file.truncate(start)
                file.seek(start)
                for chunk in response.iter_raw():  # as it comes: what is held back would be lost with the connection
                    file.write(chunk)
                    start += len(chunk)
                    on_bytes(start)
        if start != size:
            raise _TryAgainError(f"the connection ended at byte {start} of {size}")


def _offset_of(response: httpx.Response, asked: int) -> int:
    """Where the body starts in the file. Raises for anything that is no body."""
    if response.status_code == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {asked}-"):
            raise _TryAgainError(f"the server sent {response.headers.get('Content-Range')!r} for byte {asked}")
        return asked
    if response.status_code == 200:
        return 0
    if response.status_code in REFUSALS:
        raise SourceError(f"{response.url} {REFUSALS[response.status_code]}")
    raise _TryAgainError(f"the server answered {response.status_code}")


class _Progress:
    """Ends the tries after `FRUITLESS_TRIES` in a row that brought no byte."""

    def __init__(self, part: Path) -> None:
        self._part, self._size, self._fruitless = part, part.stat().st_size, 0

    def is_over(self, _state: RetryCallState) -> bool:
        size = self._part.stat().st_size
        self._fruitless = 0 if size > self._size else self._fruitless + 1
        self._size = size
        return self._fruitless >= FRUITLESS_TRIES


def _wait(seconds: float, tick: Callable[[], None]) -> None:
    """Back off, but let `tick` end it within a moment."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while (left := end - time.monotonic()) > 0:
        tick()
        pause.wait(min(left, TICK_SECONDS))
