"""A response read by a thread of its own: a server that falls silent holds up nobody who is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, Full, Queue

import httpx

TICK_SECONDS = 0.25
#: Chunks of up to 64 KiB that may wait for the disk; a kill loses them.
WAITING_CHUNKS = 4


class Arriving:
    """The answer to a GET, and its body as it comes.

    While nothing comes `tick` is called every `TICK_SECONDS`; it may raise to end. Reading raises what httpx raises.
    Leaving the block leaves the thread alone: it ends with the next byte, or once the client's timeout is over.
    """

    def __init__(self, client: httpx.Client, url: str, headers: Mapping[str, str], tick: Callable[[], None]) -> None:
        self._client, self._url, self._headers, self._tick = client, url, headers, tick
        self._queue: Queue[httpx.Response | bytes | Exception | None] = Queue(WAITING_CHUNKS)
        self._left = threading.Event()

    def __enter__(self) -> Arriving:
        threading.Thread(target=self._read, name="headway-download", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def response(self) -> httpx.Response:
        """Status and headers, to be asked for first."""
        response = self._take()
        assert isinstance(response, httpx.Response)
        return response

    def chunks(self) -> Iterator[bytes]:
        """The body, undecoded."""
        while isinstance(chunk := self._take(), bytes):
            yield chunk

    def _take(self) -> httpx.Response | bytes | None:
        while True:
            try:
                item = self._queue.get(timeout=TICK_SECONDS)
            except Empty:
                self._tick()
                continue
            if isinstance(item, Exception):
                raise item
            return item

    def _read(self) -> None:
        try:
            with self._client.stream("GET", self._url, headers=self._headers) as response:
                self._pass_on(response)
                for chunk in response.iter_raw():  # as it comes: what is held back would be lost with the connection
                    if not self._pass_on(chunk):
                        return
            self._pass_on(None)
        except Exception as error:
            self._pass_on(error)

    def _pass_on(self, item: httpx.Response | bytes | Exception | None) -> bool:
        """Whether anybody still waits for it."""
        while not self._left.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=TICK_SECONDS)
                return True
        return False
