"""What a model folder may hold: whole weights that cannot run code, and a config that asks for none."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.models.formats import FormatError, check_format

PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.h5", "*.msgpack", "*.joblib")
MODEL_WEIGHTS = ("*.safetensors", "*.gguf")
SHARD_INDEX = "model.safetensors.index.json"
#: What a library raises that is given a folder it cannot load.
LOAD_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)
PICKLED = (
    "its weights are pickled ({names}), which can run code when loaded: choose a revision with safetensors or GGUF, "
    "or convert them with `save_pretrained`, which writes safetensors"
)


def check_model_folder(folder: Path, field: str) -> None:
    """Hold a model folder to what may be loaded. Raises InvalidInputError that names `field` and the mend.

    Refused: weights that are pickled only, weights that are cut or are not what they are called, shards that are
    missing, and a config that names code of its own (`auto_map`), even where transformers has code for it too.
    """
    if problem := _weights_problem(folder):
        raise InvalidInputError(FieldProblem(field, problem))
    check_asks_no_code(folder, field)


def check_asks_no_code(folder: Path, field: str) -> None:
    """Hold the configs of a model folder to naming no code. Raises InvalidInputError that names `field`."""
    for path in sorted(folder.glob("*.json")):
        if code := _object(path).get("auto_map"):
            names = ", ".join(sorted(code)) if isinstance(code, dict) else "code"
            problem = (
                f"{path.name} asks for code that comes with the model (`auto_map`: {names}), and such code is never "
                "run: choose a model or a revision that transformers has itself; "
                "if it has this one, take `auto_map` out of a copy in a local folder"
            )
            raise InvalidInputError(FieldProblem(field, problem))


def load_options(folder: Path) -> dict[str, Any]:
    """What `from_pretrained` is told of a folder: no network, no remote code, GGUF where there is nothing else."""
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    gguf = next((path.name for path in sorted(folder.glob("*.gguf"))), None)
    if gguf and not any(folder.glob("*.safetensors")):
        options["gguf_file"] = gguf
    return options


def is_pickle(name: str) -> bool:
    """Whether a file is called as pickled weights are."""
    return any(fnmatch(name, pattern) for pattern in PICKLES)


def config_of(folder: Path) -> dict[str, Any]:
    """What `config.json` says; nothing where there is none, or none that is an object."""
    return _object(folder / "config.json")


def _weights_problem(folder: Path) -> str:
    weights = sorted(path for pattern in MODEL_WEIGHTS for path in folder.glob(pattern))
    if not weights:
        pickles = sorted(path.name for path in folder.glob("*") if is_pickle(path.name))
        if pickles:
            return PICKLED.format(names=", ".join(pickles[:3]))
        return f"there are no weights in it: it needs files like {' or '.join(MODEL_WEIGHTS)}"
    try:
        for path in weights:
            check_format(path, path.name)
    except FormatError as error:
        return f"{error}: download it again"
    missing = sorted(
        set(_object(folder / SHARD_INDEX).get("weight_map", {}).values()) - {path.name for path in weights}
    )
    if missing:
        return f"{SHARD_INDEX} names {', '.join(missing[:3])}, which {'is' if len(missing) == 1 else 'are'} not there"
    return ""


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
