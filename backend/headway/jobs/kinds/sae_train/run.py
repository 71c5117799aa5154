"""The work of `sae.train`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.patience import Patience
from headway.jobs.kinds.sae_train.plan import Plan, SaePlan, make_plan
from headway.jobs.kinds.sae_train.sources import open_source
from headway.ml import rng
from headway.ml.activations.reader import Indices
from headway.ml.activations.sources import Rows
from headway.ml.sae.evaluate import Evaluation, evaluate
from headway.ml.sae.firing import FiringDensity, load_densities, save_densities
from headway.ml.sae.saelens import save_sae
from headway.ml.sae.trainer import DivergedError, SaeTrainer, StepMetrics

SAMPLE_ROWS = 8192
STATE_FILE = "state.json"
DENSITIES_FILE = "densities.safetensors"


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


class _Training:
    """The trainers of one job, fed the same rows in step."""

    def __init__(self, config: SaeTrainConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._trainers: dict[str, SaeTrainer] = {}
        self._last_metrics: dict[str, StepMetrics] = {}
        self._last_rows: Rows = {}
        self._keeper = Keeper(job, every_steps=config.checkpoint_every_steps)
        self._patience = Patience(config.patience_steps, config.least_improvement)
        state: dict[str, Any] = json.loads((job.resume.path / STATE_FILE).read_text()) if job.resume else {}
        opened = open_source(config, job)
        self._plan: Plan = make_plan(config, opened.offer)
        self._saes = {sae.name: sae for sae in self._plan.saes}
        self._densities = {name: FiringDensity(sae.trainer.d_sae) for name, sae in self._saes.items()}
        self._rows = opened.rows(self._plan.places(), self._filling, state.get("rows"))
        if job.resume:
            self._trainers = self._load(job.resume.path, state)
        else:
            rng.seed_all(config.seed)
            self._trainers = self._fresh()
        self._last = time.perf_counter()

    @property
    def _step(self) -> int:
        """Steps done; with the seed it tells the order and the place in it."""
        return next((trainer.step_number for trainer in self._trainers.values()), 0)

    def _filling(self, batches: Sequence[Indices]) -> Iterator[Indices]:
        """The batches of a model's run that fills a buffer; a stop in between leaves a checkpoint of the last step."""
        for contexts in self._job.track(batches, unit="batch"):
            yield contexts
            if self._job.should_stop() and self._step:
                self._heed_requests()
            self._job.stop_if_asked()

    def _fresh(self) -> dict[str, SaeTrainer]:
        rows = {place: batch[:SAMPLE_ROWS] for place, batch in next(self._rows.epoch(0, 0)).items()}
        found: dict[str, SaeTrainer] = {}
        for name, sae in self._saes.items():
            sample = rows[sae.place]
            self._job.say(f"{name}: {sae.trainer.d_sae} features from {len(sample)} rows")
            targets = rows[sae.target] if sae.target else None
            found[name] = SaeTrainer.fresh(sae.trainer, sample, sae.config.seed, self._config.bias, targets)
        return found

    def train(self) -> None:
        """All epochs that are left, each a fresh shuffle; fewer when patience runs out."""
        per_epoch = self._plan.offer.batches_per_epoch
        first_epoch = self._step // per_epoch
        epochs = range(first_epoch, math.ceil(self._plan.total_steps / per_epoch))
        for epoch in self._job.track(epochs, unit="epoch", start=first_epoch):
            done = self._step - epoch * per_epoch
            total = min(per_epoch, self._plan.total_steps - epoch * per_epoch)
            batches = self._batches(epoch, done, total)
            for rows in self._job.track(batches, unit="step", start=done, total=total):
                self._one_step(rows)
            if self._patience.is_out:
                self._job.say(f"Ended after {self._step} of {self._plan.total_steps} steps: no SAE gets better")
                break

    def _batches(self, epoch: int, first: int, end: int) -> Iterator[Rows]:
        for rows in islice(self._rows.epoch(epoch, first), end - first):
            yield rows
            if self._patience.is_out:
                return

    def _one_step(self, rows: Rows) -> None:
        for name, sae in self._saes.items():
            self._last_metrics[name] = self._train_one(name, sae, rows)
        self._last_rows = rows
        now = time.perf_counter()
        rate = self._config.batch_rows / (now - self._last)
        self._last = now
        for name, metrics in self._last_metrics.items():
            self._log(name, metrics._asdict() | {"rows_per_s": rate})
        self._patience.see({name: metrics.fvu for name, metrics in self._last_metrics.items()})
        self._heed_requests()

    def _train_one(self, name: str, sae: SaePlan, rows: Rows) -> StepMetrics:
        try:
            return self._trainers[name].step(rows[sae.place], rows[sae.target] if sae.target else None)
        except DivergedError as error:
            raise DivergedError(f"{name}: {error}") from error

    def _log(self, name: str, metrics: Mapping[str, float | None], family: str = "") -> None:
        """One SAE's metrics are named plainly; several are told apart by their layer and name."""
        prefix = family + self._saes[name].prefix
        self._job.log(self._step, **{prefix + key: value for key, value in metrics.items() if value is not None})

    def _heed_requests(self) -> None:
        self._keeper.heed(
            self._step,
            self._save_state,
            metrics=self._checkpoint_metrics,
            last=self._step == self._plan.total_steps or self._patience.is_out,
        )

    def _checkpoint_metrics(self) -> dict[str, float]:
        """How each SAE does, and what its features do: how many are alive, and how often they fire."""
        found: dict[str, float] = {}
        for name, sae in self._saes.items():
            trainer, density = self._trainers[name], self._densities[name]
            if self._last_rows:
                density.look(trainer, self._last_rows[sae.place])
            alive = (trainer.rows_since_fired < self._config.dead_after_rows).sum().item()
            about = {"alive": float(alive)} | density.figures()
            if metrics := self._last_metrics.get(name):
                about = {"loss": metrics.loss, "fvu": metrics.fvu} | about
            found |= {sae.prefix + key: value for key, value in about.items()}
        return found

    def _save_state(self, folder: Path) -> None:
        for name, trainer in self._trainers.items():
            trainer.save(folder / f"{name}.safetensors")
        state = {"step": self._step, "rng": rng.capture(), "patience": self._patience.state, "rows": self._rows.state()}
        (folder / STATE_FILE).write_text(json.dumps(state))
        save_densities(folder / DENSITIES_FILE, self._densities)

    def _load(self, folder: Path, state: Mapping[str, Any]) -> dict[str, SaeTrainer]:
        self._job.say(f"Going on from {folder.name}")
        load_densities(folder / DENSITIES_FILE, self._densities)
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
            rows = self._held_out_rows(self._saes[name])
            found[name] = evaluate(trainer, rows, self._job.output("sae") / name)
            self._log(name, found[name]._asdict(), "eval/")
        return found

    def _held_out_rows(self, sae: SaePlan) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        places = [place for place in (sae.place, sae.target) if place]
        for indices in self._job.track(self._rows.held_out(), unit="batch"):
            self._job.stop_if_asked()
            rows = self._rows.read_held_out(indices, places)
            yield (rows[sae.place], rows[sae.target]) if sae.target else rows[sae.place]

    def save(self, evaluations: Mapping[str, Evaluation]) -> None:
        """One SAELens folder an SAE, and the artifact with the figures a reader wants first."""
        folder = self._job.output("sae")
        saes: list[dict[str, object]] = []
        for sae in self._job.track(self._plan.saes, unit="SAE"):
            self._save_one(folder / sae.name, sae)
            figures = evaluations.get(sae.name) or self._last_metrics.get(sae.name)
            about = {"layer": sae.place.layer, "hook": sae.place.hook, "folder": sae.name} | sae.summary()
            saes.append(about | (figures._asdict() if figures else {}))
        rows = self._step * self._config.batch_rows
        first = self._plan.saes[0]
        kinds = " and ".join(dict.fromkeys(sae.config.architecture for sae in self._plan.saes))
        meta = {"d_in": self._plan.offer.d_in, "d_sae": first.trainer.d_sae, "k": first.config.k, "rows": rows}
        self._job.artifact("sae", meta=meta | {"name": f"{kinds} {self._plan.model_name}", "saes": saes})

    def _save_one(self, folder: Path, sae: SaePlan) -> None:
        save_sae(
            folder,
            sae.trainer.objective,
            self._trainers[sae.name].best,
            scale=self._rows.scale(sae.place),
            target_scale=self._rows.scale(sae.target) if sae.target else None,
            metadata=self._plan.metadata(sae),
        )
