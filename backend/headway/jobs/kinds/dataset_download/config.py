"""Config of `dataset.download`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig


class DatasetDownloadConfig(KindConfig):
    """Where the dataset comes from and which of its files are wanted."""

    source: str = Field(
        default="package:python-docs",
        title="Source",
        description="`owner/name` on the hub, a folder (`/path`, `./path`, `~/path`), `package:<name>` for text in an "
        "installed Python package, or `package:python-docs`: the prose of the Python installation itself.",
        min_length=1,
        max_length=400,
    )
    revision: str = Field(
        default="main",
        title="Revision",
        description="Branch, tag or commit of a hub repository; pinned to its commit at the start.",
        min_length=1,
        max_length=200,
    )
    include: list[str] = Field(
        default=[],
        title="Only these files",
        description="Glob patterns such as `data/*.parquet`; empty takes every file of text, JSON lines and parquet.",
        max_length=50,
    )
    split: str | None = Field(
        default=None,
        title="Split",
        description="Only files of this split, told by their paths as on the hub (`train`, `validation`, `test`, or "
        "any `<split>-00000-of-00005`); empty takes all.",
        min_length=1,
        max_length=100,
    )
    stream: bool = Field(
        default=False,
        title="Stream",
        description="Keep none of the text here: note the files of this commit, which are read from the source when "
        "they are tokenized. Their hashes are then not checked.",
    )
