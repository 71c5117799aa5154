"""Config of `dataset.tokenize`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import MODEL_FILES, TEXT_FILES

Packing = Literal["packed", "document"]


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
    packing: Packing = Field(
        default="packed",
        title="Contexts",
        description="`packed`: documents follow one another, parted by the model's separator, and every context is "
        "full. `document`: a context holds one document or a part of one, so the last of each is shorter.",
    )
    split: str | None = Field(
        default=None,
        title="Split",
        description="Only files of this split, told by their paths as on the hub (`train`, `validation`, `test`, or "
        "any `<split>-00000-of-00005`); empty takes all.",
        min_length=1,
        max_length=100,
    )
    text_column: str = Field(
        default="text",
        title="Text column",
        description="The column that holds the text in parquet and JSON lines.",
        min_length=1,
        max_length=100,
    )
    mix_files: bool = Field(
        default=True,
        title="Mix the files",
        description="Take the files in an order mixed by the seed, so that a part of them is a fair sample.",
    )
    seed: int = Field(default=0, title="Seed", description="Seed of the mixing.", ge=0, lt=2**32)
    processes: int | None = Field(
        default=None,
        title="Processes",
        description="How many tokenize at once; empty takes one a thread of the job. The result is the same.",
        ge=1,
        le=64,
    )
    checkpoint_every_seconds: float = Field(
        default=15.0,
        title="Checkpoint every",
        description="Seconds between two checkpoints, more where one takes over 1 % of that; 0 leaves one a document.",
        ge=0,
        le=86_400,
    )
