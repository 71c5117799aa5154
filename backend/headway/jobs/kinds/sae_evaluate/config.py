"""Config of `sae.evaluate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input


class SaeEvaluateConfig(KindConfig):
    """Which SAEs, on which text, and on how much of it."""

    sae: str = artifact_input("sae", title="Sparse autoencoders", description="The SAEs to evaluate and compare.")
    model: str = artifact_input("model", title="Model", description="The model whose activations they were trained on.")
    tokens: str = artifact_input(
        "tokens",
        title="Tokens",
        description="Text tokenized with this model's tokenizer, best such as none was trained on.",
    )
    saes: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default=[],
        title="Only these SAEs",
        description="Names of SAEs (their folders in the artifact); empty takes all.",
        max_length=64,
    )
    max_tokens: int | None = Field(
        default=65_536,
        title="Tokens to reconstruct",
        description="Contexts spread evenly over the text, up to so many tokens; empty takes all.",
        ge=8,
    )
    loss_tokens: int = Field(
        default=16_384,
        title="Tokens to predict",
        description="Contexts on which the whole model is run, without and with each SAE spliced in and with its place "
        "set to zeros and to its mean; 0 leaves it out.",
        ge=0,
        le=1_000_000_000,
    )
    batch_tokens: int = Field(
        default=1024,
        title="Tokens in a batch",
        description="Contexts of like length are run together, up to so many tokens; a whole model's logits need "
        "vocabulary x tokens x 4 bytes, a few times.",
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
