"""The settings this instance runs with; secrets are left out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from headway.api.route import Call, Route
from headway.logs import redact
from headway.settings import Settings


class SettingView(BaseModel):
    """One environment variable; a secret's value is null."""

    name: str
    value: Any
    default: Any
    description: str


class SettingsView(BaseModel):
    """All of them."""

    items: list[SettingView]


def show(call: Call) -> SettingsView:
    """Every setting by the name of its variable."""
    settings = call.api.runtime.settings
    return SettingsView(items=[_view(settings, name, info) for name, info in Settings.model_fields.items()])


def _view(settings: Settings, name: str, info: FieldInfo) -> SettingView:
    return SettingView(
        name=name.upper(),
        value=_shown(getattr(settings, name)),
        default=_shown(info.get_default(call_default_factory=True, validated_data={})),
        description=info.description or "",
    )


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, SecretStr):
        return None
    return value if isinstance(value, (int, float)) else redact(str(value))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/settings",
        role="operator",
        handler=show,
        summary="Settings of this instance",
        answer=SettingsView,
    ),
)
