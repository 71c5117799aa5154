"""Brings a database to the newest revision; cheap when it is there already."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from headway.storage.engine import make_engine, transaction
from headway.storage.partitions import ensure_partitions

_ALEMBIC_FOLDER = Path(__file__).parents[2] / "alembic"
_LOCK = 0x6877_6D67  # one migrating process at a time


def upgrade(database_url: str) -> bool:
    """Migrate to head and make the metric partitions ahead; answers whether anything was migrated.

    Raises UnavailableError when Postgres cannot be reached.
    """
    engine = make_engine(database_url, pool_size=1)
    try:
        with transaction(engine) as connection:
            migrated = not _is_at_head(connection)
            if migrated:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                _run_alembic(connection)
            ensure_partitions(connection, datetime.now(UTC))
            return migrated
    finally:
        engine.dispose()


def head_revision() -> str:
    """The newest revision, from the migrations' file names (`<revision>_<words>.py`), without importing alembic."""
    return max(path.name.split("_", 1)[0] for path in (_ALEMBIC_FOLDER / "versions").glob("[0-9]*.py"))


def _is_at_head(connection: Connection) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.scalar(text("SELECT version_num FROM alembic_version")) == head_revision()


def _run_alembic(connection: Connection) -> None:
    from alembic.config import Config

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(_ALEMBIC_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
