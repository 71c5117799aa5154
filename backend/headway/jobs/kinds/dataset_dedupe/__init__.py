"""`dataset.dedupe`: a text without the documents that come twice, or are too short to learn from."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dataset_dedupe.config import DatasetDedupeConfig

KIND = Kind(
    name="dataset.dedupe",
    title="Remove duplicates from a dataset",
    description="Keeps the first of equal documents and drops short ones: what is read twice is learnt by heart.",
    queue="cpu",
    family="datasets",
    phases=(PhaseSpec("comparing", "Comparing", 98), PhaseSpec("saving", "Saving", 2)),
    config=DatasetDedupeConfig,
    run="headway.jobs.kinds.dataset_dedupe.run:run",
    resources=Resources(cpu_threads=1, memory_mb=2048),
    outputs=(Output("dataset", "dataset", "Dataset without duplicates"),),
    requires=("pyarrow",),
    extra="studio",
    checkpoints=True,
)
