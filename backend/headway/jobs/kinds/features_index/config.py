"""Config of `features.index`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input


class FeaturesIndexConfig(KindConfig):
    """Which SAEs, on which text, and how much is kept of each feature."""

    sae: str = artifact_input("sae", title="Sparse autoencoders", description="The SAEs whose features are indexed.")
    model: str = artifact_input("model", title="Model", description="The model whose activations they were trained on.")
    tokens: str = artifact_input("tokens", title="Tokens", description="Text tokenized with this model's tokenizer.")
    saes: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default=[],
        title="Only these SAEs",
        description="Names of SAEs (their folders in the artifact); empty takes all. One pass of the model serves all.",
        max_length=64,
    )
    max_tokens: int | None = Field(
        default=None,
        title="At most so many tokens",
        description="Takes contexts spread evenly over the text, up to so many tokens; empty takes all.",
        ge=8,
    )
    examples: int = Field(
        default=12,
        title="Strongest examples",
        description="Kept for each feature, each from another context.",
        ge=1,
        le=200,
    )
    band_examples: int = Field(
        default=4,
        title="Examples of each quarter",
        description="Kept for each quarter of the activations at which a feature fires, drawn evenly; 0 keeps none.",
        ge=0,
        le=50,
    )
    batch_tokens: int = Field(
        default=4096,
        title="Tokens in a batch",
        description="Contexts of like length are run together, up to so many tokens; fewer need less memory.",
        ge=64,
        le=4_194_304,
    )
    checkpoint_every_seconds: float = Field(
        default=15.0,
        title="Checkpoint every",
        description="Seconds between two checkpoints, more where one takes over 1 % of that; 0 leaves one a batch.",
        ge=0,
        le=86_400,
    )
