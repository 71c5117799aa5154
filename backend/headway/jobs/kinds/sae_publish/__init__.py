"""`sae.publish`: trained SAEs on a hub, in SAELens' layout with a card."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.sae_publish.config import SaePublishConfig

KIND = Kind(
    name="sae.publish",
    title="Publish sparse autoencoders",
    description="Uploads trained SAEs to a repository on the hub, as SAELens loads them, with a card of their figures, "
    "and checks what the hub then has.",
    queue="io",
    family="models",
    phases=(
        PhaseSpec("preparing", "Preparing", 10),
        PhaseSpec("uploading", "Uploading", 80, optional=True),
        PhaseSpec("verifying", "Verifying", 10),
    ),
    config=SaePublishConfig,
    run="headway.jobs.kinds.sae_publish.run:run",
    resources=Resources(cpu_threads=1, memory_mb=1024),
    outputs=(Output("repository", "repository", "Repository as uploaded"),),
    secrets=("HF_TOKEN",),
    requires=("huggingface_hub", "safetensors", "torch"),
    extra="studio",
)
