"""Which database this is: what all processes of an installation share, on whatever host they run."""

from __future__ import annotations

import hashlib

from sqlalchemy import Engine, text

from headway.storage.engine import transaction

# the cluster's number is made once by initdb; the oid tells the databases in it apart
_IDENTITY = text("""
SELECT control.system_identifier::text || '/' || database.oid::text
FROM pg_control_system() AS control, pg_database AS database WHERE database.datname = current_database()
""")


def database_id(engine: Engine) -> str:
    """Twelve characters that differ from one database to another. Raises UnavailableError."""
    with transaction(engine) as connection:
        identity = connection.execute(_IDENTITY).scalar_one()
    return hashlib.sha256(identity.encode()).hexdigest()[:12]
