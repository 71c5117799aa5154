"""What a kind gets: `run(config, job)` is called with a JobContext and knows a folder, nothing else.

The training thread only writes memory: `log` packs a record into the spool's map, a tracked iteration stores a number,
`should_stop` reads a byte. A background thread turns the counters into records ten times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from headway.domain.plan import PhaseSpec
from headway.errors import JobStopped
from headway.jobs.checkpoints import Checkpoint, prune, save_checkpoint
from headway.jobs.order import JobOrder
from headway.jobs.reporter import LiveCounter, Reporter
from headway.spool.control import Control
from headway.spool.records import EventKind

T = TypeVar("T")
StopReason = Literal["", "cancel", "pause"]


class JobContext:
    """One attempt of one job, as its kind sees it.

    `log(step, **metrics)` records scalars (about 1 µs). `resume` is the newest checkpoint that verifies, or None at a
    fresh start. `threads` and `device` are what the job may use; the process is already limited to them.
    """

    def __init__(
        self, folder: Path, order: JobOrder, reporter: Reporter, control: Control, resume: Checkpoint | None = None
    ) -> None:
        self.folder = folder
        self.job_id = order.job_id
        self.attempt = order.attempt
        self.threads = order.threads
        self.device = order.device
        self.log: Callable[..., None] = reporter.log
        self.resume = resume
        self._order = order
        self._reporter = reporter
        self._control = control

    @contextmanager
    def phase(
        self, name: str, *, round: int | None = None, rounds: int | None = None, unit: str = "round"
    ) -> Generator[None]:
        """Run a declared phase; inside another one it nests, and the time is then its own.

        A phase that is entered more than once (train and evaluate in turns) says which `round` this is, from 1, and of
        how many `rounds` if that is known: it keeps its own progress, and only its last round completes it. The round
        is its outermost counter (`unit` names it), so counters inside count one round:

            for epoch in range(1, epochs + 1):
                with job.phase("training", round=epoch, rounds=epochs, unit="epoch"):
                    for batch in job.track(loader, unit="step"): ...
                with job.phase("evaluating", round=epoch, rounds=epochs, unit="epoch"):
                    for batch in job.track(held_out, unit="batch"): ...

        Raises ValueError for a phase the kind does not declare and for a round that is not one of `rounds`.
        """
        spec = self._spec(name)
        if round is not None and not 1 <= round <= (rounds or round):
            raise ValueError(f"round {round} of phase {name!r} must be from 1 to {rounds or 'as many as come'}")
        self._reporter.start_phase(spec.name)
        if round is None:
            yield
        else:
            with self.count(unit=unit, total=rounds, start=round - 1) as counter:
                yield
                counter.current = round
        self._reporter.finish_phase(name, again=round is not None and round != rounds)

    def expect(self, name: str, *, unit: str, total: float, start: float = 0) -> None:
        """Tell the size of a phase to come as soon as it is known (rows, bytes, steps): its ETA is scaled by it.

        `start` of them are done already, where the run goes on with what an earlier attempt left.
        """
        self._reporter.expect(self._spec(name).name, unit, start, total)

    def skip_phase(self, name: str) -> None:
        """Say that an optional phase does not run this time; its weight goes to the rest."""
        spec = self._spec(name)
        if not spec.optional:
            raise ValueError(f"phase {name!r} is not optional: declare it so in the kind's phases, or run it")
        self._reporter.skip_phase(name)

    def track(self, iterable: Iterable[T], *, unit: str, total: float | None = None, start: float = 0) -> Iterator[T]:
        """Count an iterable's items as they are done, nested inside the counters already running.

        `total` is the whole count, with what a resumed run did before (`start`); by default `start` + len(iterable).
        """
        if total is None and hasattr(iterable, "__len__"):
            total = start + len(iterable)  # type: ignore[arg-type]  # has __len__, just checked
        return self._reporter.track(iterable, unit, start, total)

    @contextmanager
    def count(self, *, unit: str, total: float | None = None, start: float = 0) -> Generator[LiveCounter]:
        """A counter to move by hand: `counter.current = n` or `counter.advance(n)`; `counter.total` may change."""
        counter = self._reporter.push(unit, start, total)
        try:
            yield counter
        finally:
            self._reporter.pop(counter)

    def say(self, message: str) -> None:
        """One line for the person who watches: what is being done now."""
        self._reporter.event(EventKind.SAID, {"message": message[:500]})

    def should_stop(self) -> StopReason:
        """`"cancel"`, `"pause"` or `""`: ask every step; leave a checkpoint when paused, then call `stop()`."""
        if self._control.cancelled:
            return "cancel"
        return "pause" if self._control.paused else ""

    def stop(self) -> NoReturn:
        """End the run now because `should_stop()` said so. A run that returns instead counts as completed."""
        raise JobStopped(self.should_stop() or "cancel")

    def stop_if_asked(self) -> None:
        """For steps that keep nothing worth a checkpoint: end at once when asked to."""
        if self.should_stop():
            self.stop()

    def checkpoint(
        self,
        step: int,
        save: Callable[[Path], None],
        *,
        best: bool = False,
        metrics: Mapping[str, float] | None = None,
    ) -> Checkpoint | None:
        """Let `save(folder)` write a checkpoint after `step`; keeps the newest two and the best of this attempt.

        A full disk is said in the log and answers None: the last good checkpoint stays and the training goes on.
        """
        root = self.folder / "checkpoints"
        try:
            standing = self._reporter.standing()
            checkpoint = save_checkpoint(root, step, save, best=best, metrics=metrics, standing=standing)
        except OSError as error:
            self._reporter.say_log("warning", f"checkpoint at step {step} could not be written: {error}")
            return None
        removed = [str(path.relative_to(self.folder)) for path in prune(root)]
        self._reporter.event(
            EventKind.CHECKPOINT,
            {
                "step": step,
                "path": str(checkpoint.path.relative_to(self.folder)),
                "bytes": checkpoint.bytes,
                "best": best,
                "metrics": dict(metrics or {}),
                "removed": removed,
            },
        )
        return checkpoint

    def input(self, name: str) -> Path:
        """The folder of the artifact that the config field `name` refers to."""
        return Path(self._order.inputs[name].path)

    def input_meta(self, name: str) -> Mapping[str, Any]:
        """What its maker said of the artifact that the config field `name` refers to."""
        return self._order.inputs[name].meta

    def output(self, name: str) -> Path:
        """The folder of a declared output; the same for every attempt, so partial work in it can be gone on with."""
        path = Path(self._order.outputs[name])
        path.mkdir(parents=True, exist_ok=True)
        return path

    def cache(self, name: str) -> Path:
        """A folder that the jobs of this host share, for what can be made again: the kind bounds what it keeps there.

        It may be emptied between two jobs, never while one runs. Without a host (a bare folder) it is the attempt's.
        """
        path = (Path(self._order.cache) if self._order.cache else self.folder / "cache") / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def artifact(self, name: str, *, meta: Mapping[str, Any] | None = None) -> None:
        """Declare the output `name` whole; it is `ready` for others once the job is completed."""
        path = self.output(name)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        self._reporter.event(
            EventKind.ARTIFACT, {"output": name, "path": str(path), "bytes": size, "meta": dict(meta or {})}
        )

    def _spec(self, name: str) -> PhaseSpec:
        for spec in self._order.phases:
            if spec.name == name:
                return spec
        declared = ", ".join(spec.name for spec in self._order.phases)
        raise ValueError(f"phase {name!r} is not declared by the kind; it declares {declared}")
