"""Embedded services for benches: the same launchers as `headway up`, in a folder that is removed at the end."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from tests.installation import Installation, open_installation
from tests.services import running


@contextmanager
def embedded_installation(**settings: str) -> Iterator[Installation]:
    """A migrated installation on an embedded Postgres and Valkey of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hwb-", dir="/tmp"))
    try:
        prepare_data_dir(folder, service_account())
        cluster = postgres.prepare_cluster(folder, runtime_dir(folder))
        queue = valkey.prepare_queue(folder)
        with (
            running(cluster.command, signal.SIGINT, folder / "logs" / "postgres.log"),
            running(queue.command, signal.SIGTERM, folder / "logs" / "valkey.log"),
        ):
            postgres.wait_ready(cluster.url)
            valkey.wait_ready(queue.url)
            with open_installation(cluster.url, queue.url, **settings) as installation:
                yield installation
    finally:
        shutil.rmtree(runtime_dir(folder), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
