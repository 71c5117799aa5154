"""What a language model is asked so that it labels a feature, and what its answer comes to. Pure.

After Paulo et al. 2024, "Automatically Interpreting Millions of Features in Large Language Models": strong and weaker
examples, the tokens that fire between << and >>, and the tokens that the feature makes more likely.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

LONGEST_LABEL = 200
#: A token is marked if it reaches this share of the strongest of its example.
MARKED_SHARE = 0.3

_TASK = """You label features of a sparse autoencoder that was trained on the activations of a language model.
You are shown pieces of text on which one feature fires; the tokens on which it fires most stand between << and >>.
Say what these have in common: a phrase of at most ten words, as specific as the examples allow and no more.
Answer with the phrase alone: no quotation marks, no explanation, no full stop."""

#: Some models think aloud first.
_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)

_ORNAMENT = " \t*_`\"'."

Example = tuple[Sequence[str], Sequence[float]]
Message = dict[str, str]


def label_messages(examples: Iterable[Example], promoted: Sequence[str]) -> list[Message]:
    """The chat that asks for a label, from examples as (tokens, their activations), strongest first."""
    shown = [f"{number}. {marked_text(*example)}" for number, example in enumerate(examples, 1)]
    if promoted:
        shown.append("Tokens it makes more likely: " + ", ".join(repr(token) for token in promoted))
    return [{"role": "system", "content": _TASK}, {"role": "user", "content": "\n".join(shown)}]


def marked_text(tokens: Sequence[str], activations: Sequence[float]) -> str:
    """The text of an example in one line, neighbouring tokens that fire marked together."""
    least = MARKED_SHARE * max(activations)
    runs = groupby(zip(tokens, activations, strict=True), key=lambda pair: pair[1] >= least > 0)
    pieces = ((is_marked, "".join(token for token, _ in run)) for is_marked, run in runs)
    return " ".join("".join(f"<<{text}>>" if is_marked else text for is_marked, text in pieces).split())


def label_of(answer: str) -> str | None:
    """The label in a model's answer: its last line that says something, without ornament; None if it has none."""
    lines = (
        line.strip(_ORNAMENT).removeprefix("Label:").strip(_ORNAMENT) for line in _THOUGHTS.sub("", answer).splitlines()
    )
    said = [line for line in lines if line]
    return said[-1][:LONGEST_LABEL] if said else None
