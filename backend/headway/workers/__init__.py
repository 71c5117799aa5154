"""Celery's workers, and the supervisor of a job's process.

Their start is imports: the collector looks seldom, and less is taken along, as in `headway.api`.
"""

import gc

from headway.without import without

gc.set_threshold(100_000, 50, 1000)

with without("rich"):
    import structlog  # noqa: F401
