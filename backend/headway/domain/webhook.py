"""Webhooks: what is told, how it is signed, when it is tried again, and which addresses may be reached. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, get_args

WebhookEvent = Literal["phase.changed", "job.completed", "job.failed", "job.stalled", "metric.threshold"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
#: What a job's journal says -> what webhooks are told.
OF_JOURNAL: dict[str, WebhookEvent] = {
    "phase.started": "phase.changed",
    "job.completed": "job.completed",
    "job.failed": "job.failed",
}
MOST_ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 3600.0
#: A signature is good for this long: an old delivery cannot be played again.
SIGNATURE_SECONDS = 300

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: IPv4 within IPv6 for translating gateways (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A metric is told of when it first lies above, or below, a value."""

    metric: str
    above: float | None = None
    below: float | None = None


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `X-Headway-Signature`: `t=<Unix seconds>,v1=<hex of HMAC-SHA256 over "<t>.<body>">`."""
    return f"t={timestamp},v1={_digest(secret, timestamp, body)}"


def is_signed(secret: str, header: str, body: bytes, now: float) -> bool:
    """Whether a delivery is ours and not older than SIGNATURE_SECONDS; what a receiver does."""
    parts = {name: value for name, _, value in (part.partition("=") for part in header.split(","))}
    stamp = parts.get("t", "")
    if not stamp.isdigit() or abs(now - int(stamp)) > SIGNATURE_SECONDS:
        return False
    return hmac.compare_digest(_digest(secret, int(stamp), body), parts.get("v1", ""))


def _digest(secret: str, timestamp: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def wait_before_retry(attempts: int, first_seconds: float) -> float | None:
    """Seconds until the next attempt after so many that failed: doubled each time; None when it is given up."""
    if attempts >= MOST_ATTEMPTS:
        return None
    return min(LONGEST_WAIT_SECONDS, first_seconds * 2 ** (attempts - 1))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks, comma separated, as `10.0.0.0/8`. Raises ValueError that names the wrong one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def may_reach(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether a webhook may go to an address: one of the open internet, or of a network that is `allowed`.

    An IPv4 address within an IPv6 one counts as itself. Raises ValueError for what is no address.
    """
    plain = _plain(ip_address(address.partition("%")[0]))
    if any(plain in network for network in allowed):
        return True
    return plain.is_global and not plain.is_multicast


def _plain(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
