"""`sae.evaluate`: how well SAEs make activations again, and what it costs the model to go on with what they make."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.sae_evaluate.config import SaeEvaluateConfig

KIND = Kind(
    name="sae.evaluate",
    title="Evaluate sparse autoencoders",
    description="Reconstruction, sparsity and firing densities, and the model's loss with each SAE spliced in.",
    queue="gpu",
    family="models",
    phases=(
        PhaseSpec("loading", "Loading", 5),
        PhaseSpec("reconstructing", "Reconstructing", 40),
        PhaseSpec("predicting", "Predicting", 54, optional=True),
        PhaseSpec("saving", "Saving", 1),
    ),
    config=SaeEvaluateConfig,
    run="headway.jobs.kinds.sae_evaluate.run:run",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=4096),
    outputs=(Output("evaluation", "evaluation", "Evaluation"),),
    requires=("torch", "transformers", "safetensors", "numpy"),
    extra="studio",
    checkpoints=True,
)
