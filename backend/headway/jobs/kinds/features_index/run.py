"""The work of `features.index`."""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path

import torch

from headway.jobs.context import JobContext
from headway.jobs.feature_index import QUANTILES
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.features_index.config import FeaturesIndexConfig
from headway.jobs.kinds.features_index.describing import Described, TokenTexts
from headway.jobs.kinds.features_index.writing import About, write_index
from headway.ml.activations.forward import Forward
from headway.ml.features.collector import Collector
from headway.ml.features.firings import firings_of
from headway.ml.features.lens import unembedding_of
from headway.ml.features.model import forward_over
from headway.ml.features.saes import PlacedSae, load_saes
from headway.ml.models.headed import load_headed
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.text.token_store import TokenStore

STATE_FILE = "state.json"
#: What the artifact says of each SAE.
TOLD = ("sae", "layer", "hook", "architecture", "d_sae", "alive", "dense")


def run(config: FeaturesIndexConfig, job: JobContext) -> None:
    """Run the model over the text once, collect where features fire, write the file."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        indexing = _Indexing(config, job)
    with job.phase("indexing"):
        indexing.collect()
    with job.phase("saving"):
        indexing.save()


class _Indexing:
    """All that one job holds: the SAEs, what is collected of each, and the model in front of them."""

    def __init__(self, config: FeaturesIndexConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        self._tokens = TokenStore(job.input("tokens"))
        self._contexts = self._tokens.spread(config.max_tokens)
        self._total = int((self._tokens.offsets[self._contexts + 1] - self._tokens.offsets[self._contexts]).sum())
        job.expect("indexing", unit="token", total=self._total)
        self._saes = load_saes(job.input("sae"), config.saes, job.input_meta("sae").get("saes", []), job.device)
        self._collectors = {sae.name: self._collector(sae) for sae in self._saes}
        self._batches = self._done = self._rows = 0
        self._forward = self._load_model()
        if job.resume:
            self._load(job.resume.path)

    def _collector(self, sae: PlacedSae) -> Collector:
        return Collector(sae.d_sae, self._tokens, self._config.examples, len(QUANTILES) * self._config.band_examples)

    def _load_model(self) -> Forward:
        self._job.say("Loading the model")
        folder = self._job.input("model")
        self._tokenizer = load_tokenizer(folder)
        model = load_headed(folder, self._job.device).model
        unembedding = unembedding_of(model)
        self._unembedding = None if unembedding is None else unembedding.cpu()
        return forward_over(model, self._tokens, self._saes, self._job.device)

    def collect(self) -> None:
        """Every context that is left, a batch at a time."""
        self._job.say(f"{len(self._saes)} SAEs over {self._total} tokens")
        keeper = Keeper(self._job, self._config.checkpoint_every_seconds)
        batches = list(self._tokens.batches(self._config.batch_tokens, self._contexts))
        with self._job.count(unit="token", total=self._total, start=self._done) as counter:
            for contexts in islice(batches, self._batches, None):
                began = time.perf_counter()
                rows = self._forward.run(contexts)
                for sae in self._job.track(self._saes, unit="SAE"):
                    firings = firings_of(sae.sae, rows.by_place[sae.source], rows.of_tokens)
                    self._collectors[sae.name].add(firings)
                self._batches += 1
                self._done += rows.tokens
                self._rows += len(rows.of_tokens)
                counter.current = self._done
                self._job.log(self._batches, tokens_per_s=rows.tokens / (time.perf_counter() - began))
                keeper.heed(self._batches, self._save_state, last=self._batches == len(batches))

    def _save_state(self, folder: Path) -> None:
        for name, collector in self._collectors.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            collector.save(folder / f"{name}.npz")
        state = {"batches": self._batches, "tokens": self._done, "rows": self._rows, "parts": self._forward.parts}
        (folder / STATE_FILE).write_text(json.dumps(state))

    def _load(self, folder: Path) -> None:
        state = json.loads((folder / STATE_FILE).read_text())
        self._batches, self._done, self._rows = state["batches"], state["tokens"], state["rows"]
        self._forward.parts = state["parts"]
        for name, collector in self._collectors.items():
            collector.load(folder / f"{name}.npz")

    def save(self) -> None:
        """Fold what waits, and write the file."""
        for collector in self._collectors.values():
            collector.fold()
        text_of = TokenTexts(self._tokenizer)
        described = [
            Described(sae, position, self._collectors[sae.name], self._tokens, text_of, self._unembedding, self._rows)
            for position, sae in enumerate(self._saes)
        ]
        about = self._about()
        rows = write_index(self._job.output("index"), described, about, self._job)
        told = [{name: getattr(row, name) for name in TOLD} for row in rows]
        meta = {"name": f"features of {about.model or 'a model'}", "model": about.model, "dataset": about.dataset}
        self._job.artifact("index", meta=meta | {"tokens": about.tokens, "saes": told})

    def _about(self) -> About:
        return About(
            model=self._job.input_meta("model").get("name"),
            dataset=self._job.input_meta("tokens").get("name"),
            tokens=self._rows,
            context_length=self._tokens.manifest.context_length,
            created_by=self._job.job_id,
        )
