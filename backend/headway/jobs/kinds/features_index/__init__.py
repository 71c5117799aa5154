"""`features.index`: what every feature of some SAEs does on a text, as one file that a feature browser reads."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.features_index.config import FeaturesIndexConfig

KIND = Kind(
    name="features.index",
    title="Index features",
    description="For every feature of the SAEs: how often it fires, its tokens, its strongest examples, what it does.",
    queue="gpu",
    family="models",
    phases=(
        PhaseSpec("loading", "Loading", 5),
        PhaseSpec("indexing", "Indexing", 85),
        PhaseSpec("saving", "Saving", 10),
    ),
    config=FeaturesIndexConfig,
    run="headway.jobs.kinds.features_index.run:run",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=4096),
    outputs=(Output("index", "feature_index", "Feature index"),),
    requires=("torch", "transformers", "safetensors", "numpy"),
    extra="studio",
    checkpoints=True,
)
