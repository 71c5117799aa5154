"""The HTTP and Socket.IO server.

Its start is imports, of which next to nothing is garbage: the collector is told here, before the first of many, to look
seldom. Later it would hold up answers (28 instead of 99 ms at p99 with 1000 clients, together with the freeze in
`app.py`).
"""

import gc

from headway.without import without

gc.set_threshold(100_000, 50, 1000)

# what these take along unused: tracebacks in colours, transports of the client, one more driver of Redis
with without("rich", "requests", "websocket", "valkey"):
    import socketio  # noqa: F401
    import structlog  # noqa: F401
