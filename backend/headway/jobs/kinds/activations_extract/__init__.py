"""`activations.extract`: what chosen layers of a model compute over a token store, as flat shards."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig

KIND = Kind(
    name="activations.extract",
    title="Extract activations",
    description="Runs a model, cut off behind the deepest layer asked for, and stores what its blocks compute.",
    queue="gpu",
    family="models",
    phases=(
        PhaseSpec("loading", "Loading", 10),
        PhaseSpec("extracting", "Extracting", 80),
        PhaseSpec("saving", "Saving", 10),
    ),
    fixed_weights=True,
    config=ActivationsExtractConfig,
    run="headway.jobs.kinds.activations_extract.run:run",
    forecast="headway.jobs.kinds.activations_extract.forecast:forecast",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=3072),
    outputs=(Output("activations", "activations", "Activations"),),
    requires=("torch", "transformers", "safetensors"),
    extra="studio",
    checkpoints=True,
)
