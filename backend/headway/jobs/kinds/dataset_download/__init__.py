"""`dataset.download`: text from a hub, a folder or a package, verified."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dataset_download.config import DatasetDownloadConfig

KIND = Kind(
    name="dataset.download",
    title="Download a dataset",
    description="Fetches text, JSON lines and parquet from a hub, a folder or an installed package, resumes "
    "where it was cut, and checks every hash; or only notes where they lie, to be streamed when they are used.",
    queue="io",
    family="datasets",
    phases=(
        PhaseSpec("resolving", "Resolving", 5),
        PhaseSpec("downloading", "Downloading", 85),
        PhaseSpec("verifying", "Verifying", 10),
    ),
    config=DatasetDownloadConfig,
    run="headway.jobs.kinds.dataset_download.run:run",
    resources=Resources(cpu_threads=1, memory_mb=512),
    outputs=(Output("dataset", "dataset", "Dataset"),),
    secrets=("HF_TOKEN",),
    requires=("huggingface_hub", "safetensors", "pyarrow"),
    extra="studio",
    checkpoints=True,
)
