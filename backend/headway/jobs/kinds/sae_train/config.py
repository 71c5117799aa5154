"""Config of `sae.train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from headway.jobs.kind import KindConfig, artifact_input
from headway.ml.sae.names import Architecture


class SaeSpec(BaseModel):
    """One of several SAEs that share a read: what differs from the fields of the same names around it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="",
        title="Name",
        description="In metrics and folders; empty takes the architecture and the place in the list.",
        pattern=r"^[a-zA-Z0-9_-]{0,40}$",
    )
    architecture: Architecture | None = Field(default=None, title="Architecture")
    k: int | None = Field(default=None, title="k", ge=1, le=4096)
    coefficient: float | None = Field(default=None, title="Sparsity coefficient", ge=0, le=1e6)
    expansion: int | None = Field(default=None, title="Expansion", ge=1, le=512)
    d_sae: int | None = Field(default=None, title="Features", ge=2, le=4_194_304)
    lr: float | None = Field(default=None, title="Learning rate", gt=0, le=1)
    seed: int | None = Field(default=None, title="Seed", description="Of the weights alone.", ge=0, lt=2**32)


class SaeTrainConfig(KindConfig):
    """Which activations, what size of dictionary, how long and how it is trained."""

    model_config = ConfigDict(validate_default=True)

    activations: str | None = artifact_input(
        "activations",
        title="Activations",
        description="The stored activations; without them, a model and tokens to make them of.",
        optional=True,
    )
    model: str | None = artifact_input(
        "model",
        title="Model",
        description="In place of stored activations: the model whose activations go straight into the training, "
        "through a buffer and without a store.",
        optional=True,
    )
    tokens: str | None = artifact_input(
        "tokens",
        title="Tokens",
        description="What that model reads; made with its tokenizer.",
        optional=True,
    )
    layers: list[Annotated[int, Field(ge=0, le=1000)]] = Field(
        default=[],
        title="Layers",
        description="Train one SAE for each of these layers from the same read; empty takes all layers stored. "
        "A streamed training names them.",
        max_length=64,
    )
    hook: str | None = Field(
        default=None,
        title="Hook",
        description="Which of a layer's activations, where the store holds several; empty takes the first of each. "
        "A streamed training takes any of resid_pre, resid_mid, resid_post (empty), attn_out, mlp_in and mlp_out.",
        max_length=100,
    )
    architecture: Architecture = Field(
        default="topk",
        title="Architecture",
        description="TopK, BatchTopK and Matryoshka fire a set number of features; ReLU, JumpReLU and Gated pay for "
        "each by the sparsity coefficient; transcoders make the activations of another hook or layer.",
    )
    saes: list[SaeSpec] = Field(
        default=[],
        title="Several SAEs",
        description="Train each of these on every layer from one read of the activations; what one leaves out is "
        "taken from this form. Empty trains one a layer.",
        max_length=64,
    )
    target_hook: str | None = Field(
        default=None,
        title="Target hook",
        description="For transcoders: the hook whose activations shall come out; empty takes the same hook.",
        max_length=100,
    )
    target_layers_on: int = Field(
        default=0,
        title="Target layers on",
        description="For transcoders: how many layers further on the target lies.",
        ge=0,
        le=1000,
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
    k: int = Field(
        default=32,
        title="k",
        description="Features that fire for one row (BatchTopK and Matryoshka: on average) in the TopK kinds.",
        ge=1,
        le=4096,
    )
    coefficient: float | None = Field(
        default=None,
        title="Sparsity coefficient",
        description="What ReLU, Gated and transcoders pay for a unit of a code (empty: 5), JumpReLU for each feature "
        "that fires (empty: 1).",
        ge=0,
        le=1e6,
    )
    sparsity_warmup: float = Field(
        default=0.05,
        title="Sparsity warm-up",
        description="The first part of the training over which the sparsity coefficient rises from 0.",
        ge=0,
        le=1,
    )
    bandwidth: float = Field(
        default=0.001,
        title="JumpReLU's bandwidth",
        description="How near to its threshold a feature must be to move it, for rows of mean square 1.",
        gt=0,
        le=1,
    )
    prefixes: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[1 / 32, 3 / 32, 7 / 32, 15 / 32],
        title="Matryoshka's inner dictionaries",
        description="Shares of the features that must do without the rest, rising.",
        min_length=1,
        max_length=32,
    )
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
    resample_every_steps: int | None = Field(
        default=None,
        title="Resample every",
        description="Steps between two new starts of dead features in the first half of the training, for ReLU with "
        "unit norm and Gated; empty takes an eighth of all steps, 0 turns it off.",
        ge=0,
        le=10_000_000,
    )
    ema_decay: float = Field(
        default=0,
        title="Averaged weights",
        description="Decay of an average of the weights that is evaluated and saved in their place; 0 turns it off.",
        ge=0,
        lt=1,
    )
    patience_steps: int | None = Field(
        default=None,
        title="Patience",
        description="Ends the training when no SAE's unexplained variance (FVU) got better for so many steps.",
        ge=1,
        le=10_000_000,
    )
    least_improvement: float = Field(
        default=1e-3,
        title="Least improvement",
        description="A fall of the FVU by less than this share is none; it is averaged over about 100 steps.",
        ge=0,
        le=1,
    )
    encode_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Encode in",
        description="bfloat16 makes a TopK kind's step about a quarter faster on CPUs and GPUs that have it.",
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
    buffer_rows: int = Field(
        default=131_072,
        title="Rows in the buffer",
        description="Of a streamed training: so many rows are made and mixed at a time, in bfloat16.",
        ge=2,
        le=67_108_864,
    )
    batch_tokens: int = Field(
        default=4096,
        title="Tokens in a batch",
        description="Of a streamed training: tokens the model takes at a time, fewer where memory runs out.",
        ge=64,
        le=4_194_304,
    )
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", title="Model computes in", description="Of a streamed training, as in an extraction."
    )
    eval_rows: int = Field(
        default=16_384,
        title="Rows held out",
        description="Rows kept from the training for the evaluation at its end; 0 leaves it out.",
        ge=0,
        le=16_777_216,
    )

    @field_validator("tokens", mode="after")
    @classmethod
    def _one_source(cls, tokens: str | None, info: ValidationInfo) -> str | None:
        stored, model = info.data.get("activations"), info.data.get("model")
        if stored and (model or tokens):
            raise PydanticCustomError("source", "give activations, or a model with tokens, not both")
        if not stored and not (model and tokens):
            raise PydanticCustomError("source", "give stored activations, or a model with tokens to stream them from")
        return tokens
