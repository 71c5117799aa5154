"""How old the stored metrics are, and what the clean-ups did."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services.read_retention import RetentionView, read_retention


def show(call: Call) -> RetentionView:
    """Metrics by week and by age."""
    return read_retention(call.api.runtime.engine)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/system/retention",
        role="viewer",
        handler=show,
        summary="Metrics by week and by age, live and archived, and what the clean-ups did",
        answer=RetentionView,
    ),
)
