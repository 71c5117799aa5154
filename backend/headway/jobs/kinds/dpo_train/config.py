"""Config of `dpo.train`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import MODEL_FILES, Upload


class DpoTrainConfig(KindConfig):
    """Which model, which pairs, how it is tuned and looked at."""

    model: str = artifact_input(
        "model", title="Model", description="The causal language model to tune.", upload=MODEL_FILES
    )
    preferences: str = artifact_input(
        "dataset",
        title="Preferences",
        description="JSON lines with prompt, chosen and rejected.",
        upload=Upload(("*.jsonl", "*.jsonl.gz")),
    )
    epochs: int = Field(default=1, title="Epochs", description="Times each pair is taken.", ge=1, le=1000)
    batch_size: int = Field(
        default=4, title="Batch", description="Pairs in memory at once; fewer need less memory.", ge=1, le=4096
    )
    gradient_accumulation_steps: int = Field(
        default=4,
        title="Accumulated batches",
        description="Batches whose gradients make one step: a step takes batch x accumulated batches pairs.",
        ge=1,
        le=4096,
    )
    learning_rate: float = Field(
        default=5e-5,
        title="Learning rate",
        description="After warm-up; it falls linearly to 0. Tuning all weights wants about a tenth of LoRA's.",
        gt=0,
        le=1,
    )
    warmup_fraction: float = Field(
        default=0.1, title="Warm-up", description="Part of the steps over which the rate rises.", ge=0, le=1
    )
    beta: float = Field(
        default=0.1, title="Beta", description="How strongly the tuned model is held to what it was.", gt=0, le=100
    )
    loss: Literal["sigmoid", "hinge", "ipo"] = Field(
        default="sigmoid", title="Loss", description="sigmoid is DPO, hinge is SLiC's, ipo is IPO's."
    )
    lora_rank: int = Field(
        default=16,
        title="LoRA rank",
        description="Of the adapters of all linear layers; 0 tunes all weights.",
        ge=0,
        le=1024,
    )
    lora_alpha: int = Field(
        default=32, title="LoRA alpha", description="The adapters are scaled by alpha / rank.", ge=1, le=4096
    )
    max_length: int = Field(
        default=512,
        title="Longest pair",
        description="Tokens of prompt and continuation; what is longer is cut at its end.",
        ge=4,
        le=131_072,
    )
    eval_fraction: float = Field(
        default=0.1,
        title="Held out",
        description="Part of the pairs kept from the training to evaluate on; 0 leaves evaluation out.",
        ge=0,
        le=0.9,
    )
    evaluate_every_steps: int | None = Field(
        default=None,
        title="Evaluate every",
        description="Steps between two evaluations; empty evaluates after each epoch.",
        ge=1,
        le=1_000_000,
    )
    samples: int = Field(
        default=3,
        title="Samples",
        description="Prompts (held-out ones, where there are) continued before and after the training.",
        ge=0,
        le=50,
    )
    sample_tokens: int = Field(
        default=32, title="Tokens of a sample", description="How far they are continued.", ge=1, le=1024
    )
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        title="Computed in",
        description="bfloat16 is about twice as fast on CPUs and GPUs that have it, at some precision.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        title="Recompute activations",
        description="Takes about a fifth more time and much less memory.",
    )
    seed: int = Field(
        default=0, title="Seed", description="Of the adapters, the held-out pairs and the order.", ge=0, lt=2**32
    )
    checkpoint_every_steps: int | None = Field(
        default=None,
        title="Checkpoint every",
        description="Steps between two checkpoints; empty leaves one each 15 s, or more seldom where that would take "
        "more than 1 % of the time.",
        ge=1,
        le=1_000_000,
    )
