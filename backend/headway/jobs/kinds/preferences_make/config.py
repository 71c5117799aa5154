"""Config of `preferences.make`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import MODEL_FILES, TEXT_FILES


class PreferencesMakeConfig(KindConfig):
    """Which model, which text, how many pairs of what length."""

    model: str = artifact_input(
        "model", title="Model", description="The causal language model that samples.", upload=MODEL_FILES
    )
    dataset: str = artifact_input(
        "dataset", title="Text", description="The text whose continuations are preferred.", upload=TEXT_FILES
    )
    pairs: int = Field(
        default=500,
        title="Pairs",
        description="Pairs to make; fewer where the text does not suffice.",
        ge=2,
        le=100_000,
    )
    pairs_per_document: int = Field(
        default=8,
        title="Pairs from a document",
        description="At most so many, from its beginning; few make the pairs differ more.",
        ge=1,
        le=10_000,
    )
    prompt_tokens: int = Field(
        default=32, title="Prompt", description="Tokens of the text that are continued.", ge=1, le=8192
    )
    continuation_tokens: int = Field(
        default=32, title="Continuation", description="Tokens of either continuation.", ge=1, le=8192
    )
    temperature: float = Field(
        default=1.0,
        title="Temperature",
        description="Of the samples; 1 is the model's own distribution, 0 takes the likeliest token.",
        ge=0,
        le=10,
    )
    batch_size: int = Field(
        default=16, title="Batch", description="Prompts continued together; fewer need less memory.", ge=1, le=4096
    )
    text_column: str = Field(
        default="text",
        title="Text column",
        description="The key that holds the text in JSON lines.",
        min_length=1,
        max_length=100,
    )
    seed: int = Field(default=0, title="Seed", description="Of the files' order and the samples.", ge=0, lt=2**32)
    checkpoint_every_seconds: float = Field(
        default=15.0,
        title="Checkpoint every",
        description="Seconds between two checkpoints, more where one takes over 1 % of that; 0 leaves one a batch.",
        ge=0,
        le=86_400,
    )
