"""One event a line: structlog set up once a process, the standard library's loggers routed in, secrets redacted."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from headway.settings import Settings

HIDDEN = "***"
SHORTEST_SECRET = 6  # a shorter one would blot out innocent text

#: What looks like a secret wherever it stands: the first group is kept, the rest hidden.
_PATTERNS = (
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE),
    re.compile(r"(\bauthorization\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"',;\\]+", re.IGNORECASE),
    re.compile(r"(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(\b(?:\w+_)?(?:token|password|secret|api_key)=)[^\s&\"'<>,;\\]+", re.IGNORECASE),
    re.compile(r"(\"(?:\w+_)?(?:token|password|secret|api_key)\":\s*\")[^\"]+", re.IGNORECASE),
    re.compile(r"()\bhf_[A-Za-z0-9]{20,}"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets, passwords in addresses, authorization headers and `token=...`. Pure."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
                text = text.replace(form, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The secret values of the settings; passwords in addresses are known by their form."""
    held = (settings.headway_token, settings.hf_token, settings.headway_label_token)
    return tuple(value.get_secret_value() for value in held if value)


def configure_logging(settings: Settings, *, service: str, secrets: Sequence[str] = ()) -> None:
    """Log to standard error as the settings say; `secrets` are hidden beside those of the settings.

    Further fields (`request_id`, `job_id`, `attempt`) come from structlog's context variables.
    """
    level = getattr(logging, settings.headway_log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _with_service(service),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(settings),
            # last of all, on the finished line: nothing that is logged can pass beside it
            _redacting((*secrets_of(settings), *secrets)),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _renderers(settings: Settings) -> list[Processor]:
    if settings.headway_log_format == "console":
        # plain tracebacks: the others show local variables, secrets among them
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="ts", exception_formatter=plain)
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _with_service(service: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add


def _redacting(secrets: Sequence[str]) -> Any:
    def hide(logger: WrappedLogger, method: str, line: str) -> str:
        return redact(line, secrets)

    return hide
