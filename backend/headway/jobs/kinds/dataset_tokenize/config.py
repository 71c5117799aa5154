"""Config of `dataset.tokenize`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import MODEL_FILES, TEXT_FILES


class DatasetTokenizeConfig(KindConfig):
    """Which text, whose tokenizer, how long the contexts are."""

    dataset: str = artifact_input("dataset", title="Dataset", description="The text to tokenize.", upload=TEXT_FILES)
    model: str = artifact_input(
        "model", title="Model", description="The model whose tokenizer and marks are used.", upload=MODEL_FILES
    )
    context_length: int = Field(
        default=128,
        title="Context length",
        description="Tokens in a context, the model's marks included; at most what the model takes.",
        ge=8,
        le=131_072,
    )
    max_tokens: int | None = Field(
        default=None,
        title="At most so many tokens",
        description="Stop after so many tokens; empty takes all text.",
        ge=8,
    )
    text_column: str = Field(
        default="text",
        title="Text column",
        description="The key that holds the text in JSON lines.",
        min_length=1,
        max_length=100,
    )
    mix_files: bool = Field(
        default=True,
        title="Mix the files",
        description="Take the files in an order mixed by the seed, so that a part of them is a fair sample.",
    )
    seed: int = Field(default=0, title="Seed", description="Seed of the mixing.", ge=0, lt=2**32)
    checkpoint_every_seconds: float = Field(
        default=15.0,
        title="Checkpoint every",
        description="Seconds between two checkpoints, more where one takes over 1 % of that; 0 leaves one a document.",
        ge=0,
        le=86_400,
    )
