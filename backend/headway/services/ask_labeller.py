"""Asks the model of HEADWAY_LABEL_ENDPOINT, an OpenAI-compatible chat API; every wait and every answer is bounded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationError

from headway.domain.feature_label import Message
from headway.errors import ConflictError
from headway.logs import redact
from headway.settings import Settings

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 45.0
MOST_BYTES = 1 << 20
TOLD_CHARACTERS = 200

_REFUSALS = {
    401: "does not take the token: set HEADWAY_LABEL_TOKEN",
    403: "does not allow this token the model: set HEADWAY_LABEL_TOKEN or HEADWAY_LABEL_MODEL",
    404: "has no such model, or no /chat/completions: set HEADWAY_LABEL_MODEL, and HEADWAY_LABEL_ENDPOINT up to /v1",
    429: "takes no more requests now: try again later",
}


class LabellerError(Exception):
    """No answer came; the message says why and what to do."""


class _Said(BaseModel):
    content: str | None


class _Choice(BaseModel):
    message: _Said


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Labeller:
    """Who is asked: the operator's endpoint and model, never a client's."""

    endpoint: str
    model: str
    token: str

    def ask(self, messages: Sequence[Message]) -> str:
        """What the model answers to a chat. Raises LabellerError."""
        import httpx  # a twentieth of an API's start, and few ever label

        try:
            return self._post({"model": self.model, "messages": list(messages), "stream": False})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise LabellerError(f"no answer from {self.endpoint}: {redact(why, [self.token])}") from None
        except ValidationError:
            raise LabellerError(f"{self.endpoint} did not answer as the OpenAI API does: no choices") from None

    def _post(self, body: object) -> str:
        import httpx

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        url = f"{self.endpoint.rstrip('/')}/chat/completions"
        with httpx.Client(timeout=timeout, headers=headers) as client, client.stream("POST", url, json=body) as answer:
            raw = self._read(answer)
        if not answer.is_success:
            told = redact(raw[: 4 * TOLD_CHARACTERS].decode(errors="replace"), [self.token])[:TOLD_CHARACTERS]
            why = _REFUSALS.get(answer.status_code, f"answered {answer.status_code}: {told}")
            raise LabellerError(f"{self.endpoint} {why}")
        return _Completion.model_validate_json(raw).choices[0].message.content or ""

    def _read(self, answer: httpx.Response) -> bytes:
        """The body. Raises LabellerError for one that is too long, or drips for too long."""
        end = time.monotonic() + ANSWER_SECONDS
        raw = bytearray()
        for part in answer.iter_bytes():
            raw += part
            if len(raw) > MOST_BYTES or time.monotonic() > end:
                raise LabellerError(f"{self.endpoint} answers without an end")
        return bytes(raw)


def labeller_of(settings: Settings) -> Labeller:
    """Who labels in this installation. Raises ConflictError when nobody does."""
    if not settings.headway_label_endpoint:
        raise ConflictError("no model labels features here: set HEADWAY_LABEL_ENDPOINT and HEADWAY_LABEL_MODEL")
    token = settings.headway_label_token
    return Labeller(
        settings.headway_label_endpoint, settings.headway_label_model, token.get_secret_value() if token else ""
    )
