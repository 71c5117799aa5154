"""The route table: everything this server answers, with the role each needs."""

from headway.api.routes import (
    artifacts,
    compare,
    health,
    jobs,
    journal,
    metrics,
    pages,
    runs,
    session,
    sessions,
    settings,
    studies,
    system,
    tokens,
    training_v2,
    webhooks,
)

ROUTES = (
    *jobs.ROUTES,
    *studies.ROUTES,
    *metrics.ROUTES,
    *journal.ROUTES,
    *artifacts.ROUTES,
    *compare.ROUTES,
    *system.ROUTES,
    *settings.ROUTES,
    *tokens.ROUTES,
    *webhooks.ROUTES,
    *runs.ROUTES,
    *training_v2.ROUTES,
    *sessions.ROUTES,
    *session.ROUTES,
    *health.ROUTES,
    *pages.ROUTES,
)
