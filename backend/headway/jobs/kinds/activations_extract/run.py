"""The work of `activations.extract`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig
from headway.ml.activations.extract import Extraction
from headway.ml.activations.hooks import Tap
from headway.ml.activations.manifest import Manifest
from headway.ml.models.load import block_count, embedded_ids, load_model
from headway.ml.text.token_store import TokenStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def run(config: ActivationsExtractConfig, job: JobContext) -> None:
    """Load and cut the model, run it over all contexts, hash and describe the shards."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        job.say("Loading the model")
        tokens = TokenStore(job.input("tokens"))
        model = load_model(job.input("model"), job.device)
        _check_vocabulary(tokens, model)
        tap = _tap(config, model)
        folder = _empty(job.output("activations"))
        extraction = Extraction(folder, tokens, tap, config.layers, config.hook, config.store_dtype)
    with job.phase("extracting"):
        job.say(f"{tokens.manifest.tokens} tokens through layers 0 to {max(config.layers)}")
        _extract(config, job, extraction, tokens)
    with job.phase("saving"):
        manifest = _save(config, job, extraction)
        job.artifact("activations", meta=_meta(manifest))


def _tap(config: ActivationsExtractConfig, model: PreTrainedModel) -> Tap:
    try:
        return Tap(model, config.layers, config.hook, block_count(model))
    except ValueError as error:
        raise InvalidInputError(FieldProblem("config.layers", str(error))) from error


def _check_vocabulary(tokens: TokenStore, model: PreTrainedModel) -> None:
    size = embedded_ids(model)
    if int(tokens.tokens.max(initial=0)) >= size:
        problem = f"they hold ids the model has no embedding for ({size}): tokenize with this model"
        raise InvalidInputError(FieldProblem("config.tokens", problem))


def _empty(folder: Path) -> Path:
    """A store is made in one go: what an earlier attempt left is taken away."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


def _extract(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction, tokens: TokenStore) -> None:
    reduced = config.compute_dtype == "bfloat16"
    with (
        torch.autocast(torch.device(job.device).type, torch.bfloat16, enabled=reduced),
        job.count(unit="token", total=tokens.manifest.tokens) as counter,
    ):
        for done in extraction.run(config.batch_tokens, job.device):
            counter.advance(done)
            job.stop_if_asked()


def _save(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction) -> Manifest:
    job.say("Hashing the shards")
    model = {"name": job.input_meta("model").get("name"), "revision": job.input_meta("model").get("revision")}
    tokens = {
        "name": job.input_meta("tokens").get("name"),
        "context_length": job.input_meta("tokens").get("context_length"),
    }
    with job.count(unit="byte", total=extraction.bytes_written) as counter:
        return extraction.finish(model, tokens, lambda count: counter.advance(count))


def _meta(manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.model["name"] or "activations",
        "rows": manifest.rows,
        "d_in": manifest.d_in,
        "dtype": manifest.dtype,
        "layers": [entry.layer for entry in manifest.hooks],
        "hook": manifest.hooks[0].hook,
        "mean_norm": {str(entry.layer): round(entry.statistics.mean_norm, 4) for entry in manifest.hooks},
    }
