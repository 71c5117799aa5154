"""`dpo.train`: a language model tuned to preferences, by TRL's DPOTrainer."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dpo_train.config import DpoTrainConfig

KIND = Kind(
    name="dpo.train",
    title="Tune to preferences",
    description="Direct preference optimization of a causal language model, with LoRA or of all its weights.",
    queue="gpu",
    family="trainings",
    phases=(
        PhaseSpec("initializing", "Initializing", 15),
        PhaseSpec("training", "Training", 75),
        PhaseSpec("evaluating", "Evaluating", 8, optional=True),
        PhaseSpec("saving", "Saving", 2),
    ),
    config=DpoTrainConfig,
    run="headway.jobs.kinds.dpo_train.run:run",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=4096),
    outputs=(Output("policy", "model", "Tuned model"),),
    requires=("torch", "transformers", "trl", "peft", "datasets"),
    extra="preferences",
    checkpoints=True,
)
