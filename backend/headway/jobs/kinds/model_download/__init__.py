"""`model.download`: weights, tokenizer and config from a hub, a folder or a package, verified."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.model_download.config import ModelDownloadConfig

KIND = Kind(
    name="model.download",
    title="Download a model",
    description="Fetches safetensors or GGUF weights with tokenizer and config from a hub, a folder or a package, "
    "resumes where it was cut, and checks every hash before the model can be used.",
    queue="io",
    family="models",
    phases=(
        PhaseSpec("resolving", "Resolving", 5),
        PhaseSpec("downloading", "Downloading", 85),
        PhaseSpec("verifying", "Verifying", 10),
    ),
    config=ModelDownloadConfig,
    run="headway.jobs.kinds.model_download.run:run",
    resources=Resources(cpu_threads=1, memory_mb=1024),
    outputs=(Output("model", "model", "Model"),),
    secrets=("HF_TOKEN",),
    requires=("huggingface_hub", "safetensors", "transformers"),
    extra="studio",
    checkpoints=True,
)
