"""A downloader that goes on where it was, in this process or the next: ranges into a part file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from headway.ml.hub.arriving import TICK_SECONDS, Arriving
from headway.ml.hub.errors import SourceError, SourceNetworkError

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
FRUITLESS_TRIES = 5
LONGEST_WAIT_SECONDS = 30.0
#: A server that asks for a longer pause is left alone until the job is retried.
LONGEST_ASKED_SECONDS = 300.0
TOO_MANY_REQUESTS = 429
REFUSALS = {
    401: "may not be read without a token: set HF_TOKEN",
    403: "is gated or private: ask for access on its page and set HF_TOKEN",
    404: "is not there any more",
}


class _TryAgainError(Exception):
    """The server answered, but not with what was asked for; a later try may do, `wait_seconds` from now at least."""

    def __init__(self, message: str, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class RangeDownloader:
    """Downloads files by Range requests. `stall_seconds` without a byte count as a broken connection.

    What is asked to wait (429 with Retry-After) waits so long, up to `LONGEST_ASKED_SECONDS`.
    """

    def __init__(self, token: str | None = None, *, stall_seconds: float | None = None) -> None:
        # httpx drops the Authorization header by itself where a redirect leads to another host.
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(stall_seconds or STALL_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)

    def __enter__(self) -> RangeDownloader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def download(self, url: str, part: Path, size: int, on_bytes: Callable[[int], None]) -> None:
        """Fill `part` up to `size` bytes, keeping what it holds already.

        `on_bytes(bytes in the part file)` is called for each chunk, and while waiting for one or to try again; it may
        raise to end.
        Raises SourceError where trying again cannot help, SourceNetworkError after `FRUITLESS_TRIES` tries without a
        byte, OSError when the disk is full. The part file stays, whichever it is.
        """
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        self._persist(
            url,
            lambda: self._fill(url, part, size, on_bytes),
            there=lambda: part.stat().st_size,
            tick=lambda: on_bytes(part.stat().st_size),
        )

    def read(self, url: str, start: int, stop: int) -> bytes:
        """The bytes of a file from `start` up to `stop`. Raises SourceError, SourceNetworkError as `download` does."""
        content = bytearray()

        def go_on() -> None:
            at = start + len(content)
            with self._client.stream("GET", url, headers=_range(at, stop)) as response:
                if _offset_of(response, at) != at:
                    raise SourceError(f"{url} cannot be read in parts: download it whole instead")
                for chunk in response.iter_raw():
                    content.extend(chunk)
            if len(content) < stop - start:
                raise _TryAgainError(f"the connection ended at byte {start + len(content)} of {stop}")

        self._persist(url, go_on, there=lambda: len(content), tick=lambda: None)
        return bytes(content)

    @staticmethod
    def _persist(url: str, go_on: Callable[[], None], there: Callable[[], int], tick: Callable[[], None]) -> None:
        """Call `go_on` until it is through, as long as `there` grows."""
        tries = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, _TryAgainError)),
            wait=_pause,
            stop=_Progress(there).is_over,
            sleep=lambda seconds: _wait(seconds, tick),
            reraise=True,
        )
        try:
            tries(go_on)
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
        asked = _range(start, size)
        with part.open("r+b") as file, Arriving(self._client, url, asked, tick=lambda: on_bytes(start)) as arriving:
            start = _offset_of(arriving.response(), start)
            if part.stat().st_size > start:
                file.truncate(start)
            file.seek(start)
            for chunk in arriving.chunks():
                file.write(chunk)
                file.flush()  # a kill loses what Python still holds
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
    raise _try_again(response)


def _try_again(response: httpx.Response) -> Exception:
    """What a refusal for now is raised as: the server's overload, or its limit of requests."""
    busy = f"the server answered {response.status_code}"
    if response.status_code == TOO_MANY_REQUESTS:
        busy = "the server takes no more requests from here for now (429); HF_TOKEN raises its limit"
    wait_seconds = _asked_to_wait(response)
    if wait_seconds > LONGEST_ASKED_SECONDS:
        return SourceNetworkError(
            f"{response.url}: {busy}; it asks to wait {wait_seconds:.0f} seconds. "
            "Retry then: what was downloaded is kept"
        )
    return _TryAgainError(busy, wait_seconds)


def _asked_to_wait(response: httpx.Response) -> float:
    """The seconds that Retry-After names, as a number or as a time; 0 without it."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _range(start: int, stop: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{stop - 1}"}


def _pause(state: RetryCallState) -> float:
    """Seconds before the next try: longer each time, and as long as the server asked."""
    error = state.outcome.exception() if state.outcome else None
    backoff = wait_exponential_jitter(multiplier=0.3, max=LONGEST_WAIT_SECONDS, jitter=0.3)
    return max(backoff(state), error.wait_seconds if isinstance(error, _TryAgainError) else 0.0)


class _Progress:
    """Ends the tries after `FRUITLESS_TRIES` in a row that brought no byte."""

    def __init__(self, there: Callable[[], int]) -> None:
        self._there, self._size, self._fruitless = there, there(), 0

    def is_over(self, _state: RetryCallState) -> bool:
        size = self._there()
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
