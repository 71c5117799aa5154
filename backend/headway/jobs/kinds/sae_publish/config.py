"""Config of `sae.publish`."""

from __future__ import annotations

from pydantic import Field

from headway.jobs.kind import KindConfig, artifact_input


class SaePublishConfig(KindConfig):
    """Which SAEs, and where they go."""

    sae: str = artifact_input("sae", title="Sparse autoencoders", description="What `sae.train` made.")
    repo_id: str = Field(
        default="owner/saes",
        title="Repository",
        description="`owner/name` on the hub; it is made where it does not exist. HF_TOKEN must be one that may write.",
        pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$",
        max_length=96,
    )
    private: bool = Field(
        default=True,
        title="Private",
        description="Whether a repository that is made is seen by its owner alone; one that exists stays as it is.",
    )
    preview: bool = Field(
        default=False,
        title="Only prepare it",
        description="Make the repository as an artifact here, its card with it, and upload nothing.",
    )
