"""`sae.train`: sparse autoencoders and transcoders on stored activations, one or several a layer, from one read."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.sae_train.config import SaeTrainConfig

KIND = Kind(
    name="sae.train",
    title="Train sparse autoencoders",
    description="Sparse autoencoders of nine architectures on stored activations; resumes bit for bit after a crash.",
    queue="gpu",
    family="trainings",
    phases=(
        PhaseSpec("initializing", "Initializing", 2),
        PhaseSpec("training", "Training", 93),
        PhaseSpec("evaluating", "Evaluating", 4, optional=True),
        PhaseSpec("saving", "Saving", 1),
    ),
    config=SaeTrainConfig,
    run="headway.jobs.kinds.sae_train.run:run",
    forecast="headway.jobs.kinds.sae_train.forecast:forecast",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=2048),
    outputs=(Output("sae", "sae", "Sparse autoencoders"),),
    requires=("torch", "safetensors", "numpy"),
    extra="studio",
    checkpoints=True,
)
