"""Slows down guessing: an address that sent many wrong tokens waits. The table is bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import ip_address

from aiohttp import web

from headway.api.errors import TooManyAttemptsError

MOST_FAILURES = 20
FORGIVEN_AFTER_SECONDS = 60.0
MOST_ADDRESSES = 4096


class FailedAttempts:
    """Wrong tokens by address, forgiven after a minute without one."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, request: web.Request) -> None:
        """Raises TooManyAttemptsError while the address has to wait."""
        count, at = self._by_address.get(_address(request), (0, 0.0))
        if count >= MOST_FAILURES and time.monotonic() - at < FORGIVEN_AFTER_SECONDS:
            raise TooManyAttemptsError("Too many wrong tokens came from this address: wait a minute.")

    def note(self, request: web.Request) -> None:
        """Count one more wrong token."""
        address, now = _address(request), time.monotonic()
        count, at = self._by_address.pop(address, (0, now))
        self._by_address[address] = (1 if now - at > FORGIVEN_AFTER_SECONDS else count + 1, now)
        if len(self._by_address) > MOST_ADDRESSES:
            self._by_address.popitem(last=False)


def _address(request: web.Request) -> str:
    """The client's address; behind a proxy on this host or network, the one that the proxy saw."""
    remote = request.remote or ""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded if forwarded and _is_private(remote) else remote


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False
