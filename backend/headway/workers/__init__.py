"""Celery's workers, and the supervisor of a job's process.

The collector is told to look seldom before the first of many imports, as in `headway.api`: a tenth of the start.
"""

import gc

gc.set_threshold(100_000, 50, 1000)
