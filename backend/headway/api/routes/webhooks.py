"""Webhooks: who is told when something happens to a job, and what became of each telling."""

from __future__ import annotations

from pydantic import BaseModel, Field

from headway.api.route import Call, Route
from headway.services import webhooks
from headway.services.webhooks import DeliveriesView, NewWebhookView, WebhookRequest, WebhooksView


class DeliveriesQuery(BaseModel):
    """How many of the newest."""

    limit: int = Field(100, ge=1, le=1000)


def create(call: Call, body: WebhookRequest) -> NewWebhookView:
    """Register a webhook."""
    runtime = call.api.runtime
    allowed = runtime.settings.webhook_networks
    return webhooks.create_webhook(runtime.engine, body, allowed, owner=call.identity.name)


def find(call: Call) -> WebhooksView:
    """Every webhook."""
    return webhooks.list_webhooks(call.api.runtime.engine)


def delete(call: Call, webhook_id: str) -> None:
    """Forget a webhook."""
    webhooks.delete_webhook(call.api.runtime.engine, webhook_id)


def deliveries(call: Call, webhook_id: str, query: DeliveriesQuery) -> DeliveriesView:
    """The log of a webhook."""
    return webhooks.read_deliveries(call.api.runtime.engine, webhook_id, query.limit)


_WEBHOOKS = "/api/v1/webhooks"
ROUTES = (
    Route(
        method="POST",
        path=_WEBHOOKS,
        role="admin",
        handler=create,
        summary="Register a webhook; its secret is shown this once",
        body=WebhookRequest,
        answer=NewWebhookView,
        status=201,
    ),
    Route(method="GET", path=_WEBHOOKS, role="admin", handler=find, summary="List webhooks", answer=WebhooksView),
    Route(
        method="DELETE",
        path=_WEBHOOKS + "/{webhook_id}",
        role="admin",
        handler=delete,
        summary="Forget a webhook",
        status=204,
    ),
    Route(
        method="GET",
        path=_WEBHOOKS + "/{webhook_id}/deliveries",
        role="admin",
        handler=deliveries,
        summary="What a webhook was told, newest first",
        query=DeliveriesQuery,
        answer=DeliveriesView,
    ),
)
