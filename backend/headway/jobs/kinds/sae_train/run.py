"""The work of `sae.train`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.patience import Patience
from headway.jobs.kinds.sae_train.plan import Plan, SaePlan, make_plan
from headway.ml import rng
from headway.ml.activations.reader import Indices
from headway.ml.sae.evaluate import Evaluation, evaluate
from headway.ml.sae.saelens import save_sae
from headway.ml.sae.trainer import DivergedError, SaeTrainer, StepMetrics

SAMPLE_ROWS = 8192
STATE_FILE = "state.json"


def run(config: SaeTrainConfig, job: JobContext) -> None:
    """Train, evaluate on held-out rows, save in SAELens' format; from the checkpoint where there is one."""
    torch.set_num_threads(job.threads)
    with job.phase("initializing"):
        training = _Training(config, job)
    with job.phase("training"):
        training.train()
    if config.eval_rows:
        with job.phase("evaluating"):
            evaluations = training.evaluate()
    else:
        job.skip_phase("evaluating")
        evaluations = {}
    with job.phase("saving"):
        training.save(evaluations)


class _Rows:
    """The rows of every hook that is read, scaled; each hook is read once however many SAEs take it."""

    def __init__(self, plan: Plan, device: str) -> None:
        self._device = device
        self._readers = {name: (plan.reader(entry), plan.scale(entry)) for name, entry in plan.entries().items()}

    def read(self, indices: Indices, only: SaePlan | None = None) -> dict[str, Tensor]:
        """Rows [n, d_in] of each hook by its name; of the hooks of one SAE where it is named."""
        names = self._readers if only is None else [entry.name for entry in (only.entry, only.target) if entry]
        found = {name: self._readers[name] for name in names}
        return {name: reader.gather(indices, scale).to(self._device) for name, (reader, scale) in found.items()}


class _Training:
    """The trainers of one job, fed the same rows in step."""

    def __init__(self, config: SaeTrainConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._plan: Plan = make_plan(config, job.input("activations"))
        self._rows = _Rows(self._plan, job.device)
        self._saes = {sae.name: sae for sae in self._plan.saes}
        self._patience = Patience(config.patience_steps, config.least_improvement)
        if job.resume:
            self._trainers = self._load(job.resume.path)
        else:
            rng.seed_all(config.seed)
            self._trainers = self._fresh()
        self._last_metrics: dict[str, StepMetrics] = {}
        self._keeper = Keeper(job, every_steps=config.checkpoint_every_steps)

    @property
    def _step(self) -> int:
        """Steps done; with the seed it tells the order and the place in it."""
        return next(iter(self._trainers.values())).step_number

    def _fresh(self) -> dict[str, SaeTrainer]:
        first = next(self._plan.order.epoch(0))[:SAMPLE_ROWS]
        rows = self._rows.read(first)
        found: dict[str, SaeTrainer] = {}
        for name, sae in self._saes.items():
            self._job.say(f"{name}: {sae.trainer.d_sae} features from {len(first)} rows")
            targets = rows[sae.target.name] if sae.target else None
            bias = self._config.bias
            found[name] = SaeTrainer.fresh(sae.trainer, rows[sae.entry.name], sae.config.seed, bias, targets)
        return found

    def train(self) -> None:
        """All epochs that are left, each a fresh shuffle; fewer when patience runs out."""
        per_epoch = self._plan.order.batches_per_epoch
        first_epoch = self._step // per_epoch
        epochs = range(first_epoch, math.ceil(self._plan.total_steps / per_epoch))
        for epoch in self._job.track(epochs, unit="epoch", start=first_epoch):
            done = self._step - epoch * per_epoch
            total = min(per_epoch, self._plan.total_steps - epoch * per_epoch)
            batches = self._batches(epoch, done, total)
            for indices in self._job.track(batches, unit="step", start=done, total=total):
                self._one_step(indices)
            if self._patience.is_out:
                self._job.say(f"Ended after {self._step} of {self._plan.total_steps} steps: no SAE gets better")
                break

    def _batches(self, epoch: int, first: int, end: int) -> Iterator[Indices]:
        for number, indices in enumerate(self._plan.order.epoch(epoch, first), first):
            if number >= end or self._patience.is_out:
                return
            yield indices

    def _one_step(self, indices: Indices) -> None:
        started = time.perf_counter()
        rows = self._rows.read(indices)
        for name, sae in self._saes.items():
            self._last_metrics[name] = self._train_one(name, rows[sae.entry.name], sae, rows)
        rate = len(indices) / (time.perf_counter() - started)
        for name, metrics in self._last_metrics.items():
            self._log(name, metrics._asdict() | {"rows_per_s": rate})
        self._patience.see({name: metrics.fvu for name, metrics in self._last_metrics.items()})
        self._heed_requests()

    def _train_one(self, name: str, rows: Tensor, sae: SaePlan, read: Mapping[str, Tensor]) -> StepMetrics:
        try:
            return self._trainers[name].step(rows, read[sae.target.name] if sae.target else None)
        except DivergedError as error:
            raise DivergedError(f"{name}: {error}") from error

    def _log(self, name: str, metrics: Mapping[str, float | None], family: str = "") -> None:
        """One SAE's metrics are named plainly; several are told apart by their layer and name."""
        prefix = family + self._saes[name].prefix
        self._job.log(self._step, **{prefix + key: value for key, value in metrics.items() if value is not None})

    def _heed_requests(self) -> None:
        first = next(iter(self._last_metrics.values()))
        self._keeper.heed(
            self._step,
            self._save_state,
            metrics={"loss": first.loss, "fvu": first.fvu},
            last=self._step == self._plan.total_steps or self._patience.is_out,
        )

    def _save_state(self, folder: Path) -> None:
        for name, trainer in self._trainers.items():
            trainer.save(folder / f"{name}.safetensors")
        state = {"step": self._step, "rng": rng.capture(), "patience": self._patience.state}
        (folder / STATE_FILE).write_text(json.dumps(state))

    def _load(self, folder: Path) -> dict[str, SaeTrainer]:
        self._job.say(f"Going on from {folder.name}")
        state = json.loads((folder / STATE_FILE).read_text())
        rng.restore(state["rng"])
        self._patience.state = state["patience"]
        return {
            name: SaeTrainer.load(sae.trainer, folder / f"{name}.safetensors", self._job.device)
            for name, sae in self._saes.items()
        }

    def evaluate(self) -> dict[str, Evaluation]:
        """Every SAE on the held-out rows; logged as `eval/...`."""
        found: dict[str, Evaluation] = {}
        for name, trainer in self._job.track(self._trainers.items(), unit="SAE", total=len(self._trainers)):
            found[name] = evaluate(trainer, self._held_out_rows(self._saes[name]))
            self._log(name, found[name]._asdict(), "eval/")
        return found

    def _held_out_rows(self, sae: SaePlan) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        for indices in self._job.track(self._plan.held_out_batches(), unit="batch"):
            self._job.stop_if_asked()
            rows = self._rows.read(indices, sae)
            yield (rows[sae.entry.name], rows[sae.target.name]) if sae.target else rows[sae.entry.name]

    def save(self, evaluations: Mapping[str, Evaluation]) -> None:
        """One SAELens folder an SAE, and the artifact with the figures a reader wants first."""
        folder = self._job.output("sae")
        saes: list[dict[str, object]] = []
        for sae in self._job.track(self._plan.saes, unit="SAE"):
            self._save_one(folder / sae.name, sae)
            figures = evaluations.get(sae.name) or self._last_metrics.get(sae.name)
            about = {"layer": sae.entry.layer, "hook": sae.entry.hook, "folder": sae.name} | sae.summary()
            saes.append(about | (figures._asdict() if figures else {}))
        rows = self._step * self._config.batch_rows
        first = self._plan.saes[0]
        kinds = " and ".join(dict.fromkeys(sae.config.architecture for sae in self._plan.saes))
        meta = {"d_in": self._plan.d_in, "d_sae": first.trainer.d_sae, "k": first.config.k, "rows": rows}
        self._job.artifact("sae", meta=meta | {"name": f"{kinds} {self._plan.model_name}", "saes": saes})

    def _save_one(self, folder: Path, sae: SaePlan) -> None:
        save_sae(
            folder,
            sae.trainer.objective,
            self._trainers[sae.name].best,
            scale=self._plan.scale(sae.entry),
            target_scale=self._plan.scale(sae.target) if sae.target else None,
            metadata=self._plan.metadata(sae),
        )
