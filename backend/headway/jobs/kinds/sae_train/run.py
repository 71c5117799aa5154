"""The work of `sae.train`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.plan import Plan, make_plan
from headway.ml import rng
from headway.ml.activations.reader import Indices
from headway.ml.sae.evaluate import Evaluation, evaluate
from headway.ml.sae.saelens import save_sae
from headway.ml.sae.trainer import SaeTrainer, StepMetrics

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


class _Training:
    """The trainers of one job, one a layer, fed the same rows in step."""

    def __init__(self, config: SaeTrainConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._plan: Plan = make_plan(config, job.input("activations"))
        self._readers = {entry.layer: self._plan.reader(entry) for entry in self._plan.hooks}
        self._scales = {
            entry.layer: math.sqrt(self._plan.d_in) / entry.statistics.mean_norm for entry in self._plan.hooks
        }
        if job.resume:
            self._trainers = self._load(job.resume.path)
        else:
            rng.seed_all(config.seed)
            self._trainers = {layer: self._fresh(layer) for layer in self._readers}
        self._last_metrics: dict[int, StepMetrics] = {}
        self._keeper = Keeper(job, every_steps=config.checkpoint_every_steps)

    @property
    def _step(self) -> int:
        """Steps done; with the seed it tells the order and the place in it."""
        return next(iter(self._trainers.values())).step_number

    def _fresh(self, layer: int) -> SaeTrainer:
        first = next(self._plan.order.epoch(0))[:SAMPLE_ROWS]
        self._job.say(f"Layer {layer}: {self._plan.trainer.d_sae} features from {len(first)} rows")
        return SaeTrainer.fresh(self._plan.trainer, self._rows(layer, first), self._config.seed, self._config.bias)

    def _rows(self, layer: int, indices: Indices) -> torch.Tensor:
        return self._readers[layer].gather(indices, self._scales[layer]).to(self._job.device)

    def train(self) -> None:
        """All epochs that are left, each a fresh shuffle."""
        per_epoch = self._plan.order.batches_per_epoch
        first_epoch = self._step // per_epoch
        epochs = range(first_epoch, math.ceil(self._plan.total_steps / per_epoch))
        for epoch in self._job.track(epochs, unit="epoch", start=first_epoch):
            done = self._step - epoch * per_epoch
            total = min(per_epoch, self._plan.total_steps - epoch * per_epoch)
            batches = self._batches(epoch, done, total)
            for indices in self._job.track(batches, unit="step", start=done, total=total):
                self._one_step(indices)

    def _batches(self, epoch: int, first: int, end: int) -> Iterator[Indices]:
        for number, indices in enumerate(self._plan.order.epoch(epoch, first), first):
            if number >= end:
                return
            yield indices

    def _one_step(self, indices: Indices) -> None:
        started = time.perf_counter()
        for layer, trainer in self._trainers.items():
            self._last_metrics[layer] = trainer.step(self._rows(layer, indices))
        rate = len(indices) / (time.perf_counter() - started)
        for layer, metrics in self._last_metrics.items():
            self._log(layer, metrics._asdict() | {"rows_per_s": rate})
        self._heed_requests()

    def _log(self, layer: int, metrics: dict[str, float], family: str = "") -> None:
        """One SAE's metrics are named plainly; several are told apart by their layer."""
        prefix = family + (f"layer{layer}/" if len(self._trainers) > 1 else "")
        self._job.log(self._step, **{prefix + name: value for name, value in metrics.items()})

    def _heed_requests(self) -> None:
        first = next(iter(self._last_metrics.values()))
        self._keeper.heed(
            self._step,
            self._save_state,
            metrics={"loss": first.loss, "fvu": first.fvu},
            last=self._step == self._plan.total_steps,
        )

    def _save_state(self, folder: Path) -> None:
        for layer, trainer in self._trainers.items():
            trainer.save(folder / _state_name(layer))
        (folder / STATE_FILE).write_text(json.dumps({"step": self._step, "rng": rng.capture()}))

    def _load(self, folder: Path) -> dict[int, SaeTrainer]:
        self._job.say(f"Going on from {folder.name}")
        rng.restore(json.loads((folder / STATE_FILE).read_text())["rng"])
        return {
            layer: SaeTrainer.load(self._plan.trainer, folder / _state_name(layer), self._job.device)
            for layer in self._readers
        }

    def evaluate(self) -> dict[int, Evaluation]:
        """Every SAE on the held-out rows; logged as `eval/...`."""
        found: dict[int, Evaluation] = {}
        for layer, trainer in self._job.track(self._trainers.items(), unit="SAE", total=len(self._trainers)):
            found[layer] = evaluate(trainer, self._held_out_rows(layer))
            self._log(layer, found[layer]._asdict(), "eval/")
        return found

    def _held_out_rows(self, layer: int) -> Iterator[torch.Tensor]:
        for indices in self._job.track(self._plan.held_out_batches(), unit="batch"):
            self._job.stop_if_asked()
            yield self._rows(layer, indices)

    def save(self, evaluations: dict[int, Evaluation]) -> None:
        """One SAELens folder a layer, and the artifact with the figures a reader wants first."""
        folder = self._job.output("sae")
        saes: list[dict[str, object]] = []
        for entry in self._job.track(self._plan.hooks, unit="SAE"):
            trainer, scale = self._trainers[entry.layer], self._scales[entry.layer]
            metadata = self._plan.metadata(entry)
            save_sae(folder / entry.name, trainer.weights, k=self._config.k, scale=scale, metadata=metadata)
            figures = evaluations.get(entry.layer) or self._last_metrics.get(entry.layer)
            saes.append({"layer": entry.layer, "folder": entry.name, **(figures._asdict() if figures else {})})
        rows = self._step * self._config.batch_rows
        meta = {"d_in": self._plan.d_in, "d_sae": self._plan.trainer.d_sae, "k": self._config.k, "rows": rows}
        self._job.artifact("sae", meta=meta | {"name": f"TopK {self._plan.model_name}", "saes": saes})


def _state_name(layer: int) -> str:
    return f"layer{layer:02d}.safetensors"
