"""Image sessions: two documented views of a job that embeds, detects faces and clusters."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.api.views import SessionProgressView, UnifiedSessionView, session_view, unified_session_view
from headway.services.read_jobs import get_job


def unified(call: Call, sessionId: str) -> UnifiedSessionView:
    """A session with all of its phases."""
    return unified_session_view(get_job(call.api.runtime.engine, sessionId))


def first_phase(call: Call, sessionId: str) -> SessionProgressView:
    """A session's first phase."""
    return session_view(get_job(call.api.runtime.engine, sessionId))


_SESSION = "/api/v1/training/sessions/{sessionId}"
ROUTES = (
    Route(
        method="GET",
        path=_SESSION + "/progress-unified",
        role="viewer",
        handler=unified,
        summary="A session with all of its phases",
        answer=UnifiedSessionView,
    ),
    Route(
        method="GET",
        path=_SESSION + "/progress",
        role="viewer",
        handler=first_phase,
        summary="A session's first phase",
        answer=SessionProgressView,
    ),
)
