"""The HTTP and Socket.IO server.

The collector is told here, before the first of many imports, to look seldom: imports make next to no garbage, and
looking through them again and again is a tenth of the start. Later it would hold up answers (28 instead of 99 ms at p99
with 1000 clients, together with the freeze in `app.py`).
"""

import gc

gc.set_threshold(100_000, 50, 1000)
