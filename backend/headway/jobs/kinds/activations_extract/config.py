"""Config of `activations.extract`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input


class ActivationsExtractConfig(KindConfig):
    """Which model, which tokens, which layers, how they are stored."""

    model: str = artifact_input("model", title="Model", description="The model to run.")
    tokens: str = artifact_input("tokens", title="Tokens", description="Tokens made with this model's tokenizer.")
    layers: list[Annotated[int, Field(ge=0, le=1000)]] = Field(
        default=[3],
        title="Layers",
        description="Blocks to take activations at, counted from 0; all are taken in one pass.",
        min_length=1,
        max_length=64,
    )
    hook: Literal["resid_post", "resid_pre"] = Field(
        default="resid_post",
        title="Place in the block",
        description="The residual stream after the block (resid_post) or before it (resid_pre).",
    )
    batch_tokens: int = Field(
        default=4096,
        title="Tokens in a batch",
        description="Contexts of like length are run together, up to so many tokens; fewer need less memory.",
        ge=64,
        le=4_194_304,
    )
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Computed in",
        description="bfloat16 is about twice as fast on CPUs and GPUs that have it, at some precision.",
    )
    store_dtype: Literal["bfloat16", "float32"] = Field(
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
