"""Models that continue text: loaded with their head, asked for continuations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from headway.ml.models.load import load_whole


def load_causal_model(folder: Path, device: str = "cpu") -> PreTrainedModel:
    """A causal language model in float32, in evaluation mode.

    Raises InvalidInputError when it cannot be loaded, or when weights of it (its head, say) are not there.
    """
    mend = "choose a causal language model that is saved with its head"
    model = load_whole(AutoModelForCausalLM, folder, "config.model", mend=mend, dtype=torch.float32)
    return model.eval().to(device)


def most_positions(model: PreTrainedModel) -> int | None:
    """The most tokens the model takes, where its config says."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def prefix_ids(tokenizer: Any) -> list[int]:
    """The mark that the tokenizer puts before a text, if it puts one."""
    first = tokenizer("")["input_ids"][:1]
    return first if first == [tokenizer.bos_token_id] else []


def continue_texts(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], tokens: int, *, temperature: float
) -> list[list[int]]:
    """Exactly so many tokens after each prompt (ids; all of one length, without the mark before a text).

    Sampled from the model's whole distribution at this temperature with torch's generator; 0 takes the likeliest. Marks
    are never sampled, so that a continuation is text alone.
    """
    before = prefix_ids(tokenizer)
    ids = torch.tensor([[*before, *prompt] for prompt in prompts], device=model.device)
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    settings = GenerationConfig(
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        suppress_tokens=sorted(tokenizer.all_special_ids),
        pad_token_id=tokenizer.pad_token_id or 0,
        **sampling or {"do_sample": False},
    )
    with torch.no_grad():
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return whole[:, ids.shape[1] :].tolist()
