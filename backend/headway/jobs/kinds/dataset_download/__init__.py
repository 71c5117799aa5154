"""`dataset.download`: text from a hub, a folder or a package, verified."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.dataset_download.config import DatasetDownloadConfig

KIND = Kind(
    name="dataset.download",
    title="Download a dataset",
    description="Fetches text and JSON lines from a hub, a folder or an installed package, "
    "resumes where it was cut, and checks every hash before the dataset can be used.",
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
    requires=("huggingface_hub", "safetensors"),
    extra="studio",
    checkpoints=True,
)
