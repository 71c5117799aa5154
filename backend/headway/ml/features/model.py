"""The model that SAEs belong to, over tokens: what does not fit is said by its field."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.activations.forward import Forward
from headway.ml.activations.hooks import Tap, find_blocks
from headway.ml.features.saes import PlacedSae
from headway.ml.models.load import block_count, embedded_ids
from headway.ml.text.token_store import TokenStore


def check_fits(model: PreTrainedModel, tokens: TokenStore, saes: Sequence[PlacedSae]) -> None:
    """Raises InvalidInputError: tokens without embeddings (`config.tokens`), SAEs of another width (`config.sae`)."""
    size, width = embedded_ids(model), int(model.config.get_text_config().hidden_size)
    if int(tokens.tokens.max(initial=0)) >= size:
        problem = f"they hold ids the model has no embedding for ({size}): tokenize with this model"
        raise InvalidInputError(FieldProblem("config.tokens", problem))
    for sae in saes:
        if sae.d_in != width:
            problem = (
                f"{sae.name} takes rows of {sae.d_in} numbers, the model's have {width}: choose the model it is of"
            )
            raise InvalidInputError(FieldProblem("config.sae", problem))


def forward_over(
    model: PreTrainedModel,
    tokens: TokenStore,
    saes: Sequence[PlacedSae],
    device: str,
    *,
    targets: bool = False,
    cut: bool = True,
) -> Forward:
    """A forward that ends behind the deepest place that an SAE reads (and with `targets`, makes).

    With `cut` the model's blocks behind it are given up. Raises InvalidInputError as `check_fits`, and for an SAE of a
    place that the model does not have (`config.sae`).
    """
    check_fits(model, tokens, saes)
    places = [place for sae in saes for place in ((sae.source, sae.target) if targets else (sae.source,))]
    owner, name = find_blocks(model, block_count(model))
    blocks = getattr(owner, name)
    try:
        tap = Tap(model, list(dict.fromkeys(places)), len(blocks))
    except ValueError as error:
        raise InvalidInputError(FieldProblem("config.sae", f"it does not belong to this model: {error}")) from error
    if not cut:
        setattr(owner, name, blocks)
    return Forward(tokens, tap, device)
