"""`strategy.optimize`: the parameters of a trading strategy, searched over a replay of past prices."""

from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, Output, Resources
from headway.jobs.kinds.strategy_optimize.config import StrategyConfig

KIND = Kind(
    name="strategy.optimize",
    title="Optimize a strategy",
    description="Searches a trading strategy's parameters over past prices and tests what it found on later ones.",
    queue="cpu",
    family="trainings",
    phases=(
        PhaseSpec("data_collection", "Data collection", 25),
        PhaseSpec("optimization", "Optimization", 50),
        PhaseSpec("validation", "Validation", 20, optional=True),
        PhaseSpec("saving", "Save configuration", 5),
    ),
    config=StrategyConfig,
    run="headway.jobs.kinds.strategy_optimize.run:run",
    resources=Resources(cpu_threads=2, memory_mb=768),
    outputs=(Output("configuration", "configuration", "Saved configuration"),),
    requires=("numba", "optuna", "pyarrow", "gym_anytrading"),
    extra="strategy",
    checkpoints=True,
    fixed_weights=True,
)
