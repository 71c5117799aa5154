"""`probe.work`: a diagnostic kind that checks an installation with real work."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Resources
from headway.jobs.kinds.probe_work.config import ProbeConfig

KIND = Kind(
    name="probe.work",
    title="Probe",
    description="Checks an installation: real CPU work with counters, metrics, checkpoints, and failures on request.",
    queue="cpu",
    phases=(PhaseSpec("warming", "Warming up", 5), PhaseSpec("working", "Working", 95)),
    config=ProbeConfig,
    run="headway.jobs.kinds.probe_work.run:run",
    resources=Resources(cpu_threads=1, memory_mb=128),
    checkpoints=True,
)
