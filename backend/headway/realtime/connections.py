"""Clients' connections below Socket.IO: one frame for many written at once, and the slow cut off."""

from __future__ import annotations

from struct import pack

import structlog
from aiohttp import web

#: What one connection may have unsent; the buffers of the kernel hold some more.
MOST_UNSENT_BYTES = 2 << 20
_WHOLE_TEXT = 0x81
_TWO_BYTES, _EIGHT_BYTES = 126, 127

log = structlog.get_logger(__name__)


def text_frame(text: str) -> bytes:
    """The WebSocket frame of a whole text, as servers send it (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < _TWO_BYTES:
        head = pack("!BB", _WHOLE_TEXT, size)
    elif size < 1 << 16:
        head = pack("!BBH", _WHOLE_TEXT, _TWO_BYTES, size)
    else:
        head = pack("!BBQ", _WHOLE_TEXT, _EIGHT_BYTES, size)
    return head + payload


def write(request: web.Request, frame: bytes) -> None:
    """Send a whole frame, or cut the client off that has too much unsent already; never waits."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return
    if transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
        log.warning("a slow client was dropped", unsent_bytes=transport.get_write_buffer_size())
        transport.abort()
    else:
        transport.write(frame)


def cut(request: web.Request) -> None:
    """End the connection at once; the client comes back by itself."""
    if request.transport is not None:
        request.transport.abort()
