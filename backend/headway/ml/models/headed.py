"""Models with their head where there is one: what measures predictions, and what looks at the unembedding."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from transformers import AutoConfig, PreTrainedModel

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.models.causal import load_causal_model
from headway.ml.models.folder import LOAD_ERRORS, load_options
from headway.ml.models.load import load_model

#: How transformers ends the names of models that predict the next token.
CAUSAL_NAMES = ("ForCausalLM", "LMHeadModel")


class Headed(NamedTuple):
    """A model in float32 for inference. `lacks` says why it predicts no next token; None where it does."""

    model: PreTrainedModel
    lacks: str | None


def load_headed(folder: Path, device: str = "cpu") -> Headed:
    """The model with its head for the next token, or else without. Raises InvalidInputError when it cannot be loaded.

    A head that was trained on masked tokens does not count: its model sees the token it would have to predict.
    """
    try:
        names = AutoConfig.from_pretrained(str(folder), **load_options(folder)).architectures or []
    except LOAD_ERRORS as error:
        raise InvalidInputError(FieldProblem("config.model", f"it cannot be loaded: {error}")) from error
    if names and not any(name.endswith(CAUSAL_NAMES) for name in names):
        return Headed(load_model(folder, device), f"{', '.join(names)} predicts no next token")
    try:
        return Headed(load_causal_model(folder, device), None)
    except InvalidInputError as error:
        return Headed(load_model(folder, device), f"the model has no head: {error}")
