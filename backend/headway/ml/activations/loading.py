"""From a model's folder and its tokens to a forward over them; what does not fit is said by its field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.activations.forward import Forward
from headway.ml.activations.hooks import Tap, UnknownHookError
from headway.ml.activations.places import Place
from headway.ml.models.load import block_count, embedded_ids, load_model
from headway.ml.text.token_store import TokenStore


class Loaded(NamedTuple):
    """A forward over tokens, and the width of the rows it gives."""

    forward: Forward
    d_in: int


def load_forward(
    model: Path, tokens: TokenStore, places: Sequence[Place], device: str, *, reduced: bool, hook_field: str
) -> Loaded:
    """The model in a folder, cut off behind the deepest of the places; `reduced` as in Forward.

    Raises InvalidInputError: the model cannot be loaded (`config.model`), has no such layer (`config.layers`) or hook
    (`hook_field`), or the tokens are another one's (`config.tokens`).
    """
    loaded = load_model(model, device)
    size = embedded_ids(loaded)
    if int(tokens.tokens.max(initial=0)) >= size:
        problem = f"they hold ids the model has no embedding for ({size}): tokenize with this model"
        raise InvalidInputError(FieldProblem("config.tokens", problem))
    try:
        tap = Tap(loaded, places, block_count(loaded))
    except UnknownHookError as error:
        raise InvalidInputError(FieldProblem(hook_field, str(error))) from error
    except ValueError as error:
        raise InvalidInputError(FieldProblem("config.layers", str(error))) from error
    return Loaded(Forward(tokens, tap, device, reduced=reduced), int(loaded.config.get_text_config().hidden_size))
