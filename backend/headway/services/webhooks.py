"""Register webhooks, list them with their deliveries, delete them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy import Engine

from headway.domain.webhook import Network, WebhookEvent
from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.jobs.registry import get_kind
from headway.services.post_webhook import DeliveryError, reachable_target
from headway.services.views import Moment
from headway.storage import jobs as job_store
from headway.storage import webhooks
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.rows import Row

MOST_WEBHOOKS = 100


class ThresholdRequest(BaseModel):
    """Told once a job, when the metric first lies above, or below, the value."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(min_length=1, max_length=120)
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> ThresholdRequest:
        if self.above is None and self.below is None:
            raise ValueError("name the value it must lie `above` or `below`")
        return self


class WebhookRequest(BaseModel):
    """Where to send what; of one job, of one kind, or of all."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=2000, description="http or https; redirects are not followed.")
    events: list[WebhookEvent] = Field(min_length=1)
    secret: str | None = Field(None, min_length=16, max_length=200, description="Signs deliveries; made if left out.")
    job_id: str | None = None
    kind: str | None = None
    threshold: ThresholdRequest | None = Field(None, description="Of the event `metric.threshold`.")

    @field_validator("events")
    @classmethod
    def _once(cls, events: list[WebhookEvent]) -> list[WebhookEvent]:
        return list(dict.fromkeys(events))

    @model_validator(mode="after")
    def _threshold_with_its_event(self) -> WebhookRequest:
        if ("metric.threshold" in self.events) != (self.threshold is not None):
            raise ValueError("`threshold` and the event `metric.threshold` go together")
        return self


class WebhookView(BaseModel):
    """A webhook without its secret; `pending` deliveries wait to be sent."""

    id: str
    url: str
    events: list[WebhookEvent]
    job_id: str | None
    kind: str | None
    threshold: ThresholdRequest | None
    owner: str
    pending: int
    created_at: Moment


class NewWebhookView(WebhookView):
    """A webhook just made: the only time its secret is shown."""

    secret: str


class WebhooksView(BaseModel):
    """All webhooks, newest first."""

    items: list[WebhookView]


class DeliveryView(BaseModel):
    """One event on its way to a webhook, or there; `status` and `error` are those of the last attempt."""

    id: str
    job_id: str
    event: WebhookEvent
    state: str
    attempts: int
    status: int | None
    error: str | None
    created_at: Moment
    next_attempt_at: Moment | None
    delivered_at: Moment | None


class DeliveriesView(BaseModel):
    """Deliveries of a webhook, newest first; kept 30 days."""

    items: list[DeliveryView]


def create_webhook(
    engine: Engine, request: WebhookRequest, allowed: Sequence[Network], *, owner: str = ""
) -> NewWebhookView:
    """Register a webhook. Raises InvalidInputError, also for an address that may not be reached."""
    try:
        reachable_target(request.url, allowed)
    except DeliveryError as error:
        raise InvalidInputError(FieldProblem("url", str(error))) from None
    if request.kind is not None:
        _require_kind(request.kind)
    made: dict[str, Any] = request.model_dump() | {
        "id": new_id(),
        "secret": request.secret or "whsec_" + secrets.token_urlsafe(32),
        "owner": owner,
    }
    with transaction(engine) as connection:
        if request.job_id is not None and job_store.watch(connection, request.job_id) is None:
            raise InvalidInputError(FieldProblem("job_id", f"there is no job {request.job_id}"))
        if len(webhooks.list_webhooks(connection)) >= MOST_WEBHOOKS:
            raise InvalidInputError(FieldProblem("", f"there are {MOST_WEBHOOKS} webhooks: delete one first"))
        row = webhooks.add_webhook(connection, made)
    return NewWebhookView(**_shown(row), pending=0, secret=row["secret"])


def list_webhooks(engine: Engine) -> WebhooksView:
    """Every webhook."""
    with transaction(engine) as connection:
        rows = webhooks.list_webhooks(connection)
    return WebhooksView(items=[WebhookView(**_shown(row), pending=row["pending"]) for row in rows])


def delete_webhook(engine: Engine, webhook_id: str) -> None:
    """Forget a webhook and what it was still to be told. Raises NotFoundError."""
    with transaction(engine) as connection:
        if not webhooks.delete_webhook(connection, webhook_id):
            raise NotFoundError(f"there is no webhook {webhook_id}")


def read_deliveries(engine: Engine, webhook_id: str, limit: int) -> DeliveriesView:
    """What a webhook was told and is to be told. Raises NotFoundError."""
    with transaction(engine) as connection:
        if not webhooks.has_webhook(connection, webhook_id):
            raise NotFoundError(f"there is no webhook {webhook_id}")
        rows = webhooks.deliveries_of(connection, webhook_id, limit)
    return DeliveriesView(items=[DeliveryView(**row) for row in rows])


def _require_kind(name: str) -> None:
    try:
        get_kind(name)
    except InvalidInputError as error:
        raise InvalidInputError(FieldProblem("kind", error.problems[0].message)) from None


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "url", "events", "job_id", "kind", "threshold", "owner", "created_at")}
