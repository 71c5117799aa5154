"""Config of `activations.extract`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import MODEL_FILES
from headway.ml.activations.places import HookName, Place, StoredDtype


class ActivationsExtractConfig(KindConfig):
    """Which model, which tokens, which places, how they are stored."""

    model: str = artifact_input("model", title="Model", description="The model to run.", upload=MODEL_FILES)
    tokens: str = artifact_input("tokens", title="Tokens", description="Tokens made with this model's tokenizer.")
    layers: list[Annotated[int, Field(ge=0, le=1000)]] = Field(
        default=[3],
        title="Layers",
        description="Blocks to take activations at, counted from 0; all are taken in one pass.",
        min_length=1,
        max_length=64,
    )
    hooks: list[HookName] = Field(
        default=["resid_post"],
        title="Places in the block",
        description="The residual stream before the block (resid_pre), between its attention and its MLP (resid_mid), "
        "and after it (resid_post); what its attention (attn_out) and its MLP (mlp_out) add, and what the MLP reads "
        "(mlp_in). A transcoder needs the last two.",
        min_length=1,
        max_length=6,
    )
    batch_tokens: int = Field(
        default=4096,
        title="Tokens in a batch",
        description="Contexts of like length are run together, up to so many tokens. Where memory runs out the same "
        "batch is run again in parts.",
        ge=64,
        le=4_194_304,
    )
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Computed in",
        description="bfloat16 is about twice as fast on CPUs and GPUs that have it, at some precision.",
    )
    store_dtype: StoredDtype = Field(
        default="bfloat16",
        title="Stored in",
        description="bfloat16 takes half the disk.",
    )
    checkpoint_every_seconds: float = Field(
        default=15.0,
        title="Checkpoint every",
        description="Seconds between two checkpoints, more where one takes over 1 % of that; 0 leaves one a batch.",
        ge=0,
        le=86_400,
    )

    @property
    def places(self) -> list[Place]:
        """Every place asked for, by layer and hook."""
        return sorted({Place(layer, hook) for layer in self.layers for hook in self.hooks})
