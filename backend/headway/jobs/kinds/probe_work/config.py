"""Config of `probe.work`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headway.jobs.kind import KindConfig


class FailAt(KindConfig):
    """A failure on request, to see how the installation takes it."""

    step: int = Field(ge=1, title="Step", description="Fail after this step.")
    how: Literal["exception", "exit", "oom", "hang", "nan"] = Field(
        title="How",
        description="Raise an exception, end the process, run out of memory, stop moving, or log a value that is NaN.",
    )
    attempts: int = Field(1, ge=1, le=1000, title="Attempts", description="Fail in this many attempts, then no more.")


class ProbeConfig(KindConfig):
    """What the probe does."""

    steps: int = Field(100, ge=1, le=10_000_000, title="Steps", description="Steps of work.")
    step_seconds: float = Field(
        0.02, ge=0, le=60, title="Seconds a step", description="CPU time each step burns, over its inner iterations."
    )
    rest_seconds: float = Field(
        0, ge=0, le=60, title="Rest after a step", description="Seconds it waits then, as a job does for its data."
    )
    inner: int = Field(10, ge=1, le=100_000, title="Inner iterations", description="Iterations counted in each step.")
    metrics: int = Field(2, ge=0, le=64, title="Metrics", description="Metrics m0, m1, ... logged at each step.")
    checkpoint_every: int = Field(
        25, ge=0, le=1_000_000, title="Checkpoint every", description="Steps between checkpoints; 0 keeps none."
    )
    memory_mb: int = Field(0, ge=0, le=65_536, title="Memory (MB)", description="Memory to hold while it works.")
    fail_at: FailAt | None = Field(None, title="Fail at", description="A failure on request.")
    seed: int = Field(0, ge=0, title="Seed", description="Seed of the metrics.")
