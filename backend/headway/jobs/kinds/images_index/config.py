"""Config of `images.index`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.uploads import Upload

PICTURES = Upload(("*.zip", "*.bmp", "*.gif", "*.jpeg", "*.jpg", "*.png", "*.tif", "*.tiff", "*.webp"), folder=True)
Phase = Literal["embedding", "face_detection", "clustering"]


class ImagesConfig(KindConfig):
    """Which pictures, what looks at them, and how they are grouped."""

    path: str | None = Field(
        None,
        max_length=4096,
        title="Path",
        description="A folder or a .zip file on the server; all pictures below it. Empty: see Dataset and Example.",
    )
    dataset: str | None = artifact_input(
        "dataset",
        title="Dataset",
        description="Uploaded pictures, or an uploaded .zip of them.",
        optional=True,
        upload=PICTURES,
    )
    example: Literal["scikit-image"] = Field(
        "scikit-image",
        title="Example",
        description="Pictures that come with a package. Used if neither path nor dataset is given.",
    )
    embedder: Literal["efficientnet-lite0", "clip"] = Field(
        "efficientnet-lite0",
        title="Embedder",
        description="What turns a picture into a vector. CLIP also understands text; it needs its model's folder.",
    )
    embedder_path: str | None = Field(
        None,
        max_length=4096,
        title="CLIP folder",
        description="A folder on the server with a CLIP model as transformers saves it (safetensors).",
    )
    queries: tuple[str, ...] = Field(
        (),
        max_length=100,
        title="Text searches",
        description="Sentences to find pictures for; only with an embedder that understands text.",
    )
    detector: Literal["cascade", "mtcnn"] = Field(
        "cascade",
        title="Face detector",
        description="OpenCV's frontal-face cascade, or MTCNN where facenet-pytorch is installed.",
    )
    detection_side: int = Field(
        640,
        ge=160,
        le=4096,
        title="Side for faces (px)",
        description="Pictures are scaled to this longer side to look for faces; larger finds smaller ones, slower.",
    )
    least_face: int = Field(
        32, ge=16, le=1024, title="Least face (px)", description="Smaller faces, at that scale, are not looked for."
    )
    least_cluster: int = Field(
        3, ge=2, le=1000, title="Least group", description="Fewer similar pictures than this are no group but noise."
    )
    least_face_cluster: int = Field(
        2, ge=2, le=1000, title="Least group of faces", description="Fewer similar faces than this are noise."
    )
    nearest: int = Field(12, ge=1, le=100, title="Nearest", description="Nearest pictures to keep for each picture.")
    batch_size: int = Field(
        8, ge=1, le=1024, title="Batch size", description="Pictures embedded at once; 8 suits a processor, 64 a GPU."
    )
    most_pictures: int = Field(
        50_000, ge=1, le=200_000, title="Most pictures", description="A source with more is refused."
    )
    most_picture_mb: int = Field(
        64, ge=1, le=1024, title="Largest file (MB)", description="A larger file, unpacked, counts as broken."
    )
    most_megapixels: int = Field(
        100, ge=1, le=1000, title="Most megapixels", description="A picture with more counts as broken."
    )
    most_total_gb: int = Field(
        100, ge=1, le=10_000, title="Most in all (GB)", description="A source with more, unpacked, is refused."
    )
    cache_mb: int = Field(
        4096,
        ge=0,
        le=1_000_000,
        title="Kept for other sessions (MB)",
        description="What is known of pictures is kept by content, up to this much; the longest unused goes first.",
    )
    restart_from: Phase | None = Field(
        None,
        title="Restart from",
        description="Do this phase and those after it anew, whatever is known; empty uses all that is known.",
    )
    checkpoint_seconds: float = Field(
        15, ge=0, le=86_400, title="Checkpoint every (s)", description="Seconds between two checkpoints."
    )

    @model_validator(mode="after")
    def _fits(self) -> ImagesConfig:
        if (self.embedder == "clip") != (self.embedder_path is not None):
            raise ValueError("embedder_path: name the folder of the model for clip, and for clip alone")
        if self.queries and self.embedder != "clip":
            raise ValueError(f"queries: {self.embedder} understands no text; use clip or leave them empty")
        return self
