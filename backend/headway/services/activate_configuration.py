"""Say that a saved configuration is in use, or no longer."""

from __future__ import annotations

from sqlalchemy import Engine

from headway.services.read_configurations import WholeConfigurationView, found
from headway.storage import configurations
from headway.storage.engine import transaction


def activate_configuration(engine: Engine, configuration_id: str, *, active: bool) -> WholeConfigurationView:
    """Mark it; doing so twice changes nothing. Raises NotFoundError."""
    with transaction(engine) as connection:
        row = configurations.activate(connection, configuration_id, active=active)
    return WholeConfigurationView(**found(row, configuration_id))
