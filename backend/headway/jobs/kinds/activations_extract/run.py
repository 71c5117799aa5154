"""The work of `activations.extract`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.checkpoints import Checkpoint
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig
from headway.ml.activations.extract import Extraction, ExtractionState
from headway.ml.activations.hooks import Tap
from headway.ml.activations.manifest import Manifest
from headway.ml.growing import DamagedError
from headway.ml.models.load import block_count, embedded_ids, load_model
from headway.ml.text.token_store import TokenStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STATE_FILE = "state.json"
_log = logging.getLogger(__name__)


def run(config: ActivationsExtractConfig, job: JobContext) -> None:
    """Load and cut the model, run it over all contexts that are left, describe the shards."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        job.say("Loading the model")
        tokens = TokenStore(job.input("tokens"))
        job.expect("extracting", unit="token", total=tokens.manifest.tokens)
        model = load_model(job.input("model"), job.device)
        _check_vocabulary(tokens, model)
        tap = _tap(config, model)
        extraction = _extraction(config, job, tokens, tap)
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


def _extraction(config: ActivationsExtractConfig, job: JobContext, tokens: TokenStore, tap: Tap) -> Extraction:
    """The extraction where the checkpoint stands; from the first batch if there is none, or its shards are damaged."""
    folder = job.output("activations")
    make = partial(Extraction, folder, tokens, tap, config.layers, config.hook, config.store_dtype)
    if job.resume:
        try:
            return _taken_up(job, job.resume, make)
        except DamagedError as error:
            _log.warning("%s: everything is extracted again", error)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return make()


def _taken_up(job: JobContext, checkpoint: Checkpoint, make: Callable[..., Extraction]) -> Extraction:
    state = ExtractionState.model_validate(json.loads((checkpoint.path / STATE_FILE).read_text()))
    job.say(f"Going on after batch {state.batches}; checking the {state.bytes >> 20} MiB written before")
    with job.count(unit="byte", total=state.bytes) as counter:

        def on_bytes(count: int) -> None:
            counter.advance(count)
            job.stop_if_asked()

        return make(state=state, on_bytes=on_bytes)


def _extract(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction, tokens: TokenStore) -> None:
    reduced = config.compute_dtype == "bfloat16"
    keeper = Keeper(job, config.checkpoint_every_seconds)

    def save(folder: Path) -> None:
        (folder / STATE_FILE).write_text(json.dumps(extraction.state().model_dump()))

    with (
        torch.autocast(torch.device(job.device).type, torch.bfloat16, enabled=reduced),
        job.count(unit="token", total=tokens.manifest.tokens, start=extraction.tokens_done) as counter,
    ):
        for _ in extraction.run(config.batch_tokens, job.device):
            counter.current = extraction.tokens_done
            keeper.heed(extraction.batches_done, save)


def _save(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction) -> Manifest:
    job.say("Writing the manifest")
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
