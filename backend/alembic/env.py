"""Alembic's environment: migrates over the connection it is handed, or the database of HEADWAY_DATABASE_URL."""

from __future__ import annotations

from sqlalchemy import Connection

from alembic import context
from headway.errors import FieldProblem, SettingsError
from headway.settings import get_settings
from headway.storage.engine import make_engine
from headway.storage.tables import metadata


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Leave out the weekly partitions, which the program makes ahead, not a migration."""
    return not (kind == "table" and name is not None and name.startswith("training_metrics") and "_20" in name)


def migrate(connection: Connection) -> None:
    """Run what was asked on this connection, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_by_settings() -> None:
    """Connect to the database that the environment names."""
    url = get_settings().headway_database_url
    if not url:
        raise SettingsError(FieldProblem("HEADWAY_DATABASE_URL", "name the database to migrate"))
    engine = make_engine(url, pool_size=1)
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    migrate_by_settings()
