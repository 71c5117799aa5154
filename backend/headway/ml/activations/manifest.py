"""`manifest.json` of an activation store: what the flat shards beside it hold.

A store is a folder of raw row-major files without headers, so any program can map them:

    manifest.json                       this file
    row_tokens.bin                      uint32 [rows]: place of each row's token in the token store it came from
    layer02.resid_post/shard-00000.bin  [rows of the shard, d_in] in `dtype`

Every hook has the same rows in the same order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from headway.ml.activations.places import HookName, Place, StoredDtype

FILE_NAME = "manifest.json"
ROW_TOKENS_FILE = "row_tokens.bin"


class Shard(BaseModel):
    """One raw file of a hook, its path relative to the store."""

    model_config = ConfigDict(frozen=True)

    file: str
    rows: int
    sha256: str


class HookStatistics(BaseModel):
    """Over all stored rows: mean euclidean norm, total variance (Σ over dimensions), and the mean row."""

    model_config = ConfigDict(frozen=True)

    mean_norm: float
    total_variance: float
    mean: list[float]


class HookEntry(BaseModel):
    """The activations of one place in the model."""

    model_config = ConfigDict(frozen=True)

    name: str
    layer: int
    hook: HookName
    shards: list[Shard]
    statistics: HookStatistics

    @property
    def place(self) -> Place:
        """Where in the model."""
        return Place(self.layer, self.hook)


class Manifest(BaseModel):
    """The whole store. `model` and `tokens` say what the activations were made of."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    dtype: StoredDtype
    d_in: int
    rows: int
    model: dict[str, Any]
    tokens: dict[str, Any]
    hooks: list[HookEntry]

    def write(self, folder: Path) -> None:
        """Store the manifest in `folder`."""
        (folder / FILE_NAME).write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Load the manifest of the store in `folder`."""
        return cls.model_validate_json((folder / FILE_NAME).read_bytes())

    def entry(self, layer: int) -> HookEntry:
        """The first hook at `layer`. Raises KeyError that lists the layers there are."""
        for hook in self.hooks:
            if hook.layer == layer:
                return hook
        raise KeyError(f"layer {layer} is not in the store; it has {sorted({hook.layer for hook in self.hooks})}")
