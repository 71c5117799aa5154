"""`preferences.make`: pairs of a text's real continuation and the model's own sample."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.preferences_make.config import PreferencesMakeConfig

KIND = Kind(
    name="preferences.make",
    title="Make preference pairs",
    description="Pairs the real continuation of a text with what the model writes in its place.",
    queue="gpu",
    family="datasets",
    phases=(
        PhaseSpec("loading", "Loading", 5),
        PhaseSpec("sampling", "Sampling", 94),
        PhaseSpec("saving", "Saving", 1),
    ),
    config=PreferencesMakeConfig,
    run="headway.jobs.kinds.preferences_make.run:run",
    resources=Resources(gpus=1, gpus_optional=True, cpu_threads=2, memory_mb=3072),
    outputs=(Output("preferences", "dataset", "Preference pairs"),),
    requires=("torch", "transformers"),
    extra="studio",
    checkpoints=True,
)
