"""Loads the tokenizer of a model folder, and nothing of the model: its classes cost seconds of import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.models.folder import LOAD_ERRORS, check_asks_no_code, load_options

# transformers writes "no limit" as a huge number.
NO_LIMIT = 1 << 30


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder. Raises InvalidInputError when there is none that runs without its own code."""
    check_asks_no_code(folder, "config.model")
    try:
        return AutoTokenizer.from_pretrained(str(folder), **load_options(folder))
    except LOAD_ERRORS as error:
        raise InvalidInputError(FieldProblem("config.model", f"its tokenizer cannot be loaded: {error}")) from error


def longest_context(tokenizer: Any) -> int | None:
    """The most tokens the model takes, where the tokenizer says."""
    limit = int(tokenizer.model_max_length)
    return limit if limit < NO_LIMIT else None
