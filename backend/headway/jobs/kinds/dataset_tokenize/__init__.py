"""`dataset.tokenize`: text into contexts of tokens, memory-mapped."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dataset_tokenize.config import DatasetTokenizeConfig

KIND = Kind(
    name="dataset.tokenize",
    title="Tokenize a dataset",
    description="Turns text into contexts of one length, or of one document each, with the marks the model was trained "
    "with, without padding.",
    queue="cpu",
    family="datasets",
    phases=(
        PhaseSpec("loading", "Loading", 10),
        PhaseSpec("tokenizing", "Tokenizing", 85),
        PhaseSpec("saving", "Saving", 5),
    ),
    config=DatasetTokenizeConfig,
    run="headway.jobs.kinds.dataset_tokenize.run:run",
    resources=Resources(cpu_threads=2, memory_mb=1536),
    outputs=(Output("tokens", "tokens", "Tokens"),),
    secrets=("HF_TOKEN",),
    requires=("transformers", "numpy", "pyarrow"),
    extra="studio",
    checkpoints=True,
)
