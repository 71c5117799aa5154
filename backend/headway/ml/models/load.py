"""Loads what a model folder holds: safetensors or GGUF, never pickle, never code, never a weight made up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoConfig, AutoModel, GgufConfig, PreTrainedModel, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.models.folder import LOAD_ERRORS, check_asks_no_code, check_model_folder, config_of, load_options

# The job's own progress says it. The bar over a GGUF's tensors heeds no switch of transformers', so its class
# gives way to a maker of silent ones, which pyright cannot take for a class.
transformers_logging.disable_progress_bar()
modeling_gguf_pytorch_utils.tqdm = partial(tqdm, disable=True)  # type: ignore[assignment]

#: Weights that a model without its head may lack: transformers adds a pooler that nothing here reads.
UNREAD = ("pooler.",)
ONE_REVISION = "weights and config are of different models, take both from one revision"


def load_model(folder: Path, device: str = "cpu") -> PreTrainedModel:
    """The model without its head, in float32, for inference.

    Raises InvalidInputError when it cannot be loaded, see `load_whole`.
    """
    return load_whole(AutoModel, folder, "config.model", may_lack=UNREAD, dtype=torch.float32).eval().to(device)


def check_loads(folder: Path, field: str) -> None:
    """Load the model as shapes alone, so that one whose weights do not fit its config is found out early.

    A folder whose config names no architecture is none that transformers loads, and a GGUF has its shapes inside: of
    both only the code they ask for is looked at. Raises InvalidInputError that names `field`, as `load_whole` does.
    """
    check_asks_no_code(folder, field)
    if "model_type" in config_of(folder) and "gguf_file" not in load_options(folder):
        load_whole(AutoModel, folder, field, may_lack=UNREAD, device_map="meta")


def load_whole(
    auto_class: Any,
    folder: Path,
    field: str,
    *,
    may_lack: tuple[str, ...] = (),
    mend: str = ONE_REVISION,
    **options: Any,
) -> Any:  # transformers' stubs take a model's `to` for unbound
    """The PreTrainedModel that `auto_class` makes of a folder, if every weight of it was there in its shape.

    transformers would make up what is missing or of another shape, and say so in the log only. Raises
    InvalidInputError that names `field`; `may_lack` are the beginnings of names that may be missing.
    """
    check_model_folder(folder, field)
    options |= load_options(folder)
    if "gguf_file" in options:
        # else transformers holds the model for a quantized one, which it neither trains nor saves
        options["quantization_config"] = GgufConfig(dequantize=True)
    else:
        options["use_safetensors"] = True
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # what it would warn of is an error here
    try:
        model, report = auto_class.from_pretrained(
            str(folder), output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except LOAD_ERRORS as error:
        raise InvalidInputError(FieldProblem(field, f"it cannot be loaded: {error}")) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    if problem := _not_whole(report, may_lack, mend):
        raise InvalidInputError(FieldProblem(field, problem))
    return model


def _not_whole(report: dict[str, Any], may_lack: tuple[str, ...], mend: str) -> str:
    """Why a model would be loaded with weights that were never trained, or nothing."""
    if wrong := sorted(report["mismatched_keys"]):
        name, there, wanted = wrong[0]
        return (
            f"{name} is {list(there)} in its weights and {list(wanted)} by its config ({len(wrong)} such in all): "
            f"{ONE_REVISION}"
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(may_lack))
    if missing:
        return f"it lacks {', '.join(missing[:3])} ({len(missing)} weights in all): {mend}"
    return ""


def described(folder: Path) -> dict[str, int]:
    """Width and number of blocks of a folder's model, by which forecasts go; empty where its config does not say."""
    try:
        config = AutoConfig.from_pretrained(str(folder), **load_options(folder)).get_text_config()
    except LOAD_ERRORS:
        return {}
    said = {"hidden_size": getattr(config, "hidden_size", None), "layers": getattr(config, "num_hidden_layers", None)}
    return {name: value for name, value in said.items() if isinstance(value, int)}


def block_count(model: PreTrainedModel) -> int:
    """How many blocks the model has."""
    return int(model.config.get_text_config().num_hidden_layers)


def embedded_ids(model: PreTrainedModel) -> int:
    """How many token ids the model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]  # a Tensor: embeddings are
