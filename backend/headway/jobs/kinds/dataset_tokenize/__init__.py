"""`dataset.tokenize`: text into packed contexts of tokens, memory-mapped."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dataset_tokenize.config import DatasetTokenizeConfig

KIND = Kind(
    name="dataset.tokenize",
    title="Tokenize a dataset",
    description="Turns text into contexts of one length with the marks the model was trained with, without padding.",
    queue="cpu",
    family="datasets",
    phases=(
        PhaseSpec("loading", "Loading", 10),
        PhaseSpec("tokenizing", "Tokenizing", 85),
        PhaseSpec("saving", "Saving", 5),
    ),
    config=DatasetTokenizeConfig,
    run="headway.jobs.kinds.dataset_tokenize.run:run",
    resources=Resources(cpu_threads=1, memory_mb=1024),
    outputs=(Output("tokens", "tokens", "Tokens"),),
    requires=("transformers", "numpy"),
    extra="studio",
    checkpoints=True,
)
