"""The route table: everything this server answers, with the role each needs."""

from headway.api.routes import (
    artifacts,
    health,
    jobs,
    journal,
    metrics,
    pages,
    session,
    settings,
    studies,
    system,
    tokens,
)

ROUTES = (
    *jobs.ROUTES,
    *studies.ROUTES,
    *metrics.ROUTES,
    *journal.ROUTES,
    *artifacts.ROUTES,
    *system.ROUTES,
    *settings.ROUTES,
    *tokens.ROUTES,
    *session.ROUTES,
    *health.ROUTES,
    *pages.ROUTES,
)
