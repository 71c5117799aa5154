"""One embedded Postgres and Valkey for the whole run; a fresh database and an empty queue for each module."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis

from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from headway.parent_death import PARENT_PID
from headway.storage.migrate import upgrade

_numbers = count(1)
#: Migrated once a run; the tests' databases are copies of it.
_MIGRATED = "migrated"


@pytest.fixture(scope="session")
def installation_dir() -> Iterator[Path]:
    """A data directory with a short path, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hw-", dir="/tmp"))
    prepare_data_dir(folder, service_account())
    yield folder
    shutil.rmtree(runtime_dir(folder), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(installation_dir: Path) -> Iterator[postgres.Cluster]:
    """The Postgres of this run."""
    made = postgres.prepare_cluster(installation_dir, runtime_dir(installation_dir))
    with running(made.command, signal.SIGINT, installation_dir / "logs" / "postgres.log"):
        postgres.wait_ready(made.url)
        _administer(made, f"CREATE DATABASE {_MIGRATED}")
        upgrade(made.url_of(_MIGRATED))
        yield made


@pytest.fixture(scope="session")
def queue(installation_dir: Path) -> Iterator[valkey.Queue]:
    """The Valkey of this run."""
    made = valkey.prepare_queue(installation_dir)
    with running(made.command, signal.SIGTERM, installation_dir / "logs" / "valkey.log"):
        valkey.wait_ready(made.url)
        yield made


@pytest.fixture(scope="module")
def postgres_url(cluster: postgres.Cluster) -> Iterator[str]:
    """A fresh database for this module, migrated and with nothing in it, as `postgresql://...`."""
    with fresh_database(cluster) as url:
        yield url


@pytest.fixture(scope="module")
def redis_url(queue: valkey.Queue) -> str:
    """Database 0 of a Valkey that holds nothing when the module starts."""
    with redis.Redis.from_url(queue.url) as client:
        client.flushall()
    return queue.url


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory for this test."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@contextmanager
def fresh_database(cluster: postgres.Cluster) -> Iterator[str]:
    """The address of a new database, migrated and with nothing in it, for as long as the block lasts."""
    name = f"test_{next(_numbers)}"
    _administer(cluster, f"CREATE DATABASE {name} TEMPLATE {_MIGRATED}")
    yield cluster.url_of(name)
    _administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running(command: list[str], stop: signal.Signals, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service's process for as long as the block lasts; it ends with us in any case."""
    with log.open("wb") as output:
        environment = {**os.environ, PARENT_PID: str(os.getpid())}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(stop)
        process.wait(timeout=90)


def _administer(cluster: postgres.Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())
