"""Loads what a model folder holds: safetensors or GGUF, never pickle, never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from headway.errors import FieldProblem, InvalidInputError

# transformers writes "no limit" as a huge number.
NO_LIMIT = 1 << 30
# The job's own progress says it.
transformers_logging.disable_progress_bar()

LOAD_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder. Raises InvalidInputError when there is none that can be used."""
    try:
        return AutoTokenizer.from_pretrained(str(folder), **load_options(folder))
    except LOAD_ERRORS as error:
        raise InvalidInputError(FieldProblem("config.model", f"its tokenizer cannot be loaded: {error}")) from error


def load_model(folder: Path, device: str = "cpu") -> PreTrainedModel:
    """The model without its head, in float32, for inference. Raises InvalidInputError when it cannot be loaded."""
    options = load_options(folder)
    if "gguf_file" not in options:
        options["use_safetensors"] = True
    try:
        model = AutoModel.from_pretrained(str(folder), dtype=torch.float32, **options)
    except LOAD_ERRORS as error:
        raise InvalidInputError(FieldProblem("config.model", f"it cannot be loaded: {error}")) from error
    return model.eval().to(device)


def block_count(model: PreTrainedModel) -> int:
    """How many blocks the model has."""
    return int(model.config.get_text_config().num_hidden_layers)


def embedded_ids(model: PreTrainedModel) -> int:
    """How many token ids the model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]  # a Tensor: embeddings are


def longest_context(tokenizer: Any) -> int | None:
    """The most tokens the model takes, where the tokenizer says."""
    limit = int(tokenizer.model_max_length)
    return limit if limit < NO_LIMIT else None


def load_options(folder: Path) -> dict[str, Any]:
    """What `from_pretrained` is told of a folder: no network, no remote code, GGUF where there is nothing else."""
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    gguf = next((path.name for path in sorted(folder.glob("*.gguf"))), None)
    if gguf and not any(folder.glob("*.safetensors")):
        options["gguf_file"] = gguf
    return options
