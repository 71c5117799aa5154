"""The work of `sae.evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.sae_evaluate.config import SaeEvaluateConfig
from headway.ml.features.model import forward_over
from headway.ml.features.prediction import FIGURES, Predictions, Splice, ablations, sae_splice
from headway.ml.features.quality import Quality
from headway.ml.features.saes import PlacedSae, load_saes
from headway.ml.models.headed import load_headed
from headway.ml.text.token_store import TokenStore

RESULT_FILE = "evaluation.json"
STATE_FILE = "state.json"


def run(config: SaeEvaluateConfig, job: JobContext) -> None:
    """Reconstruct rows, then predict tokens where the model does, and write what came of it."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        evaluating = _Evaluating(config, job)
    with job.phase("reconstructing"):
        evaluating.reconstruct()
    if evaluating.no_predictions:
        job.say(f"No loss is measured: {evaluating.no_predictions}")
        job.skip_phase("predicting")
    else:
        with job.phase("predicting"):
            evaluating.predict()
    with job.phase("saving"):
        evaluating.save()


class _Evaluating:
    """All that one job holds. `no_predictions` says why the model's loss is not measured, None where it is."""

    def __init__(self, config: SaeEvaluateConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._tokens = TokenStore(job.input("tokens"))
        self._saes = load_saes(job.input("sae"), config.saes, job.input_meta("sae").get("saes", []), job.device)
        self._quality = {sae.name: Quality(sae.sae) for sae in self._saes}
        job.say("Loading the model")
        model, lacks = load_headed(job.input("model"), job.device)
        self.no_predictions = lacks if config.loss_tokens else "loss_tokens is 0"
        self._forward = forward_over(model, self._tokens, self._saes, job.device, targets=True, cut=False)
        self._predictions = Predictions(model, self._tokens, job.device)
        self._reconstructed, self._predicted = self._batches(config.max_tokens), self._batches(config.loss_tokens)
        self._steps = {"reconstructing": 0, "predicting": 0}
        self._keeper = Keeper(job, config.checkpoint_every_seconds)
        if job.resume:
            self._load(job.resume.path)

    def _batches(self, most_tokens: int | None) -> list[NDArray[np.int64]]:
        return list(self._tokens.batches(self._config.batch_tokens, self._tokens.spread(most_tokens)))

    def reconstruct(self) -> None:
        """Every SAE on the rows of each batch."""

        def step(contexts: NDArray[np.int64]) -> None:
            rows = self._forward.run(contexts).by_place
            for sae in self._job.track(self._saes, unit="SAE"):
                self._quality[sae.name].add(rows[sae.source], rows[sae.target])

        self._each("reconstructing", self._reconstructed, step, self._reconstruction)

    def predict(self) -> None:
        """The whole model on each batch: as it is, with each place taken away, and with each SAE in its place."""
        splices: dict[str, Splice] = {}
        for sae in self._saes:
            splices |= ablations(sae.target, self._quality[sae.name].mean)
        splices |= {sae.name: sae_splice(sae) for sae in self._saes}

        def step(contexts: NDArray[np.int64]) -> None:
            self._predictions.add(contexts, splices, lambda names: self._job.track(names, unit="forward"))

        self._each("predicting", self._predicted, step, self._predictions.figures)

    def _each(
        self,
        phase: str,
        batches: list[NDArray[np.int64]],
        step: Callable[[NDArray[np.int64]], None],
        figures: Callable[[PlacedSae], Mapping[str, float]],
    ) -> None:
        """Take each batch that is left, tell the figures so far, heed requests."""
        sizes = [self._token_count(contexts) for contexts in batches]
        done = self._steps[phase]
        with self._job.count(unit="token", total=sum(sizes), start=sum(sizes[:done])) as counter:
            for contexts, size in islice(zip(batches, sizes, strict=True), done, None):
                step(contexts)
                counter.advance(size)
                self._steps[phase] += 1
                number = sum(self._steps.values())
                self._log(number, figures)
                self._keeper.heed(number, self._save_state, last=self._steps[phase] == len(batches))

    def _token_count(self, contexts: NDArray[np.int64]) -> int:
        return int((self._tokens.offsets[contexts + 1] - self._tokens.offsets[contexts]).sum())

    def _log(self, step: int, figures: Callable[[PlacedSae], Mapping[str, float]]) -> None:
        """One SAE's figures are named plainly; several are told apart by their names."""
        for sae in self._saes:
            prefix = "" if len(self._saes) == 1 else f"{sae.name}/"
            self._job.log(step, **{prefix + key: value for key, value in figures(sae).items()})

    def _reconstruction(self, sae: PlacedSae) -> Mapping[str, float]:
        return self._quality[sae.name].figures()

    def _save_state(self, folder: Path) -> None:
        for name, quality in self._quality.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            quality.save(folder / f"{name}.safetensors")
        state = {"steps": self._steps, "predicted": self._predictions.count, "sums": self._predictions.sums}
        (folder / STATE_FILE).write_text(json.dumps(state | {"parts": self._forward.parts}))

    def _load(self, folder: Path) -> None:
        state = json.loads((folder / STATE_FILE).read_text())
        self._steps, self._forward.parts = state["steps"], state["parts"]
        self._predictions.count, self._predictions.sums = state["predicted"], state["sums"]
        for name, quality in self._quality.items():
            quality.load(folder / f"{name}.safetensors")

    def save(self) -> None:
        """The whole result as JSON, and what a reader wants first with the artifact."""
        model, dataset = (self._job.input_meta(name).get("name") for name in ("model", "tokens"))
        about = {
            "name": f"evaluation on {dataset or 'tokens'}",
            "model": model,
            "dataset": dataset,
            "tokens": sum(map(self._token_count, self._reconstructed)),
            "predicted_tokens": self._predictions.count,
            "no_predictions": self.no_predictions,
        }
        told = [self._told(sae) for sae in self._saes]
        whole = [each | {"densities": self._quality[each["sae"]].densities()} for each in told]
        result = json.dumps({"format": 1} | about | {"saes": whole}, indent=1)
        (self._job.output("evaluation") / RESULT_FILE).write_text(result + "\n")
        self._job.artifact("evaluation", meta=about | {"saes": told})

    def _told(self, sae: PlacedSae) -> dict[str, Any]:
        place = {"sae": sae.name, "layer": sae.target.layer, "hook": sae.target.hook, "architecture": sae.architecture}
        figures: dict[str, Any] = {"d_sae": sae.d_sae, **self._reconstruction(sae)}
        # the same keys whatever the model, so that evaluations can be laid side by side
        none = dict.fromkeys(FIGURES)
        return place | figures | (none if self.no_predictions else self._predictions.figures(sae))
