"""Config of `dataset.dedupe`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import TEXT_FILES


class DatasetDedupeConfig(KindConfig):
    """Which text, what counts as equal, what as too short."""

    dataset: str = artifact_input("dataset", title="Dataset", description="The text to clean.", upload=TEXT_FILES)
    text_column: str = Field(
        default="text",
        title="Text column",
        description="The column that holds the text in parquet and JSON lines.",
        min_length=1,
        max_length=100,
    )
    min_characters: int = Field(
        default=0,
        title="At least so many characters",
        description="Shorter documents are dropped, not counting white space around them; empty ones always are.",
        ge=0,
        le=1_000_000,
    )
    ignore_case_and_space: bool = Field(
        default=True,
        title="Ignore case and white space",
        description="Documents that differ only in capitals and in white space are equal too.",
    )
