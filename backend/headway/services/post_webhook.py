"""Posts to a webhook's address: only where it may, to the very address that was checked, no redirect followed."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from headway.domain.webhook import Network, may_reach

CONNECT_SECONDS = 5.0
QUIET_SECONDS = 10.0
WHOLE_SECONDS = 15.0


class DeliveryError(Exception):
    """Nothing was delivered; the message says why. `final`: trying again would be of no use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        self.final = final
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, with addresses of its host that may be reached."""

    url: SplitResult
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def path(self) -> str:
        """What is asked of the host."""
        return (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")


def reachable_target(url: str, allowed: Sequence[Network]) -> Target:
    """Resolve a URL's host. Raises DeliveryError when it is no URL of ours to call, or leads to a refused address."""
    parts, host, port = _parsed(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"{host} cannot be resolved: {error}") from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not may_reach(address, allowed):
            raise DeliveryError(
                f"{host} leads to {address}, which is not on the open internet: name its network in "
                "HEADWAY_WEBHOOK_NETWORKS to allow it",
                final=True,
            )
    return Target(parts, host, port, addresses)


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """POST and answer the status, whatever it is. Raises DeliveryError when there is no answer."""
    try:
        with _connected(target) as connection:
            connection.request("POST", target.path, body, dict(headers))
            return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"no answer from {target.host}: {str(error) or type(error).__name__}") from None


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DeliveryError(f"is not a URL: {error}", final=True) from None
    if parts.scheme not in ("http", "https") or not host:
        raise DeliveryError("must begin with http:// or https:// and name a host", final=True)
    if parts.username is not None or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise DeliveryError("must hold no user name, no space and ASCII characters only", final=True)
    return parts, host, port or (443 if parts.scheme == "https" else 80)


@contextmanager
def _connected(target: Target) -> Generator[http.client.HTTPConnection, None, None]:
    secure = target.url.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=QUIET_SECONDS)
    plain = _open(target)
    plain.settimeout(QUIET_SECONDS)
    with plain, _cut_after(WHOLE_SECONDS, lambda: connection.sock or plain):
        # the name is for the certificate and the Host header; the address is the one that was checked
        connection.sock = _tls().wrap_socket(plain, server_hostname=target.host) if secure else plain
        try:
            yield connection
        finally:
            connection.close()


def _open(target: Target) -> socket.socket:
    error: OSError | None = None
    for address in target.addresses:
        try:
            return socket.create_connection((address, target.port), CONNECT_SECONDS)
        except OSError as refused:
            error = refused
    raise error or OSError("it has no address")


@contextmanager
def _cut_after(seconds: float, opened: Callable[[], socket.socket]) -> Generator[None, None, None]:
    """A receiver that drips its answer holds nobody up longer than this."""

    def cut() -> None:
        with suppress(OSError):
            opened().shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
