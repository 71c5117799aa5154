"""Config of `sae.train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input


class SaeTrainConfig(KindConfig):
    """Which activations, what size of dictionary, how long and how it is trained."""

    activations: str = artifact_input("activations", title="Activations", description="The stored activations.")
    layers: list[Annotated[int, Field(ge=0, le=1000)]] = Field(
        default=[],
        title="Layers",
        description="Train one SAE for each of these layers from the same read; empty takes all layers stored.",
        max_length=64,
    )
    expansion: int = Field(
        default=8,
        title="Expansion",
        description="Features per dimension of the activations: the dictionary has expansion x d_in features.",
        ge=1,
        le=512,
    )
    d_sae: int | None = Field(
        default=None,
        title="Features",
        description="Size of the dictionary, in place of the expansion.",
        ge=2,
        le=4_194_304,
    )
    k: int = Field(default=32, title="k", description="Features that may fire for one row.", ge=1, le=4096)
    batch_rows: int = Field(
        default=4096, title="Rows in a batch", description="Rows of activations in one step.", ge=2, le=1_048_576
    )
    epochs: int = Field(
        default=1, title="Epochs", description="Times each row is taken, in a new order each.", ge=1, le=10_000
    )
    max_rows: int | None = Field(
        default=None,
        title="At most so many rows",
        description="Ends the training after so many rows over all epochs; empty takes all epochs.",
        ge=2,
    )
    lr: float = Field(
        default=1e-3,
        title="Learning rate",
        description="Adam's rate after warm-up; rows are scaled to a mean norm of sqrt(d_in), so it carries over.",
        gt=0,
        le=1,
    )
    warmup_steps: int = Field(
        default=50, title="Warm-up steps", description="Steps of linear rise of the rate.", ge=0, le=1_000_000
    )
    decay_fraction: float = Field(
        default=0.2,
        title="Decay",
        description="The last part of the training over which the rate falls linearly to 0.",
        ge=0,
        le=1,
    )
    clip_norm: float = Field(
        default=1.0, title="Gradient clipping", description="Greatest norm of the gradients; 0 turns it off.", ge=0
    )
    aux_k: int | None = Field(
        default=None,
        title="AuxK",
        description="Dead features that try to explain what is left over (Gao et al. 2024); empty takes the power of "
        "two nearest to d_in / 2, 0 turns it off.",
        ge=0,
        le=65_536,
    )
    aux_coefficient: float = Field(
        default=1 / 32, title="AuxK's share", description="Weight of AuxK's loss beside the main one.", ge=0, le=10
    )
    dead_after_rows: int = Field(
        default=1_000_000,
        title="Dead after",
        description="A feature that has not fired for so many rows counts as dead.",
        ge=1,
    )
    encode_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Encode in",
        description="bfloat16 makes a step about a quarter faster on CPUs and GPUs that have it.",
    )
    bias: Literal["geometric_median", "mean", "zeros"] = Field(
        default="geometric_median", title="Initial bias", description="Where the decoder's bias starts."
    )
    seed: int = Field(
        default=0, title="Seed", description="Of the weights, the held-out rows and the order.", ge=0, lt=2**32
    )
    checkpoint_every_steps: int | None = Field(
        default=None,
        title="Checkpoint every",
        description="Steps between two checkpoints; empty leaves one each 15 s, or more seldom where that would take "
        "more than 1 % of the time.",
        ge=1,
        le=1_000_000,
    )
    eval_rows: int = Field(
        default=16_384,
        title="Rows held out",
        description="Rows kept from the training for the evaluation at its end; 0 leaves it out.",
        ge=0,
        le=16_777_216,
    )
