"""The work of `activations.extract`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from headway.jobs.checkpoints import Checkpoint
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig
from headway.ml.activations.extract import Extraction, ExtractionState, check_room
from headway.ml.activations.forward import Forward, rows_of_contexts
from headway.ml.activations.loading import Loaded, load_forward
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.places import store_bytes
from headway.ml.growing import DamagedError
from headway.ml.text.token_store import TokenStore

STATE_FILE = "state.json"
_log = logging.getLogger(__name__)


def run(config: ActivationsExtractConfig, job: JobContext) -> None:
    """Load and cut the model, run it over all contexts that are left, describe the shards."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        job.say("Loading the model")
        tokens = TokenStore(job.input("tokens"))
        job.expect("extracting", unit="token", total=tokens.manifest.tokens)
        loaded = load_forward(
            job.input("model"),
            tokens,
            config.places,
            job.device,
            reduced=config.compute_dtype == "bfloat16",
            hook_field="config.hooks",
        )
        extraction = _extraction(config, job, loaded.forward)
        _check_room(config, job, extraction, loaded)
    with job.phase("extracting"):
        _extract(config, job, extraction, tokens)
    with job.phase("saving"):
        manifest = _save(config, job, extraction)
        job.artifact("activations", meta=_meta(config, manifest))


def _extraction(config: ActivationsExtractConfig, job: JobContext, forward: Forward) -> Extraction:
    """The extraction where the checkpoint stands; from the first batch if there is none, or its shards are damaged."""
    folder = job.output("activations")
    make = partial(Extraction, folder, forward, config.places, config.store_dtype)
    if job.resume:
        try:
            return _taken_up(job, job.resume, make)
        except DamagedError as error:
            _log.warning("%s: everything is extracted again", error)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return make()


def _check_room(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction, loaded: Loaded) -> None:
    """Say what is about to be made; raises OSError when the disk has no room for what is not there yet."""
    rows, places = int(rows_of_contexts(loaded.forward.tokens).sum()), len(config.places)
    size = store_bytes(rows, loaded.d_in, places, config.store_dtype)
    what = f"{rows} rows of {loaded.d_in} at {places} {'places' if places > 1 else 'place'}, {size >> 20} MiB"
    job.say(f"{what}, through layers 0 to {max(config.layers)}")
    check_room(job.output("activations"), size - extraction.bytes_written)


def _taken_up(job: JobContext, checkpoint: Checkpoint, make: Callable[..., Extraction]) -> Extraction:
    state = ExtractionState.model_validate(json.loads((checkpoint.path / STATE_FILE).read_text()))
    job.say(f"Going on after batch {state.batches}; checking the {state.bytes >> 20} MiB written before")
    with job.count(unit="byte", total=state.bytes) as counter:

        def on_bytes(count: int) -> None:
            counter.advance(count)
            job.stop_if_asked()

        return make(state=state, on_bytes=on_bytes)


def _extract(config: ActivationsExtractConfig, job: JobContext, extraction: Extraction, tokens: TokenStore) -> None:
    keeper = Keeper(job, config.checkpoint_every_seconds)

    def save(folder: Path) -> None:
        (folder / STATE_FILE).write_text(json.dumps(extraction.state().model_dump()))

    total, start = tokens.manifest.tokens, extraction.tokens_done
    with job.count(unit="token", total=total, start=start) as counter:
        for _ in extraction.run(config.batch_tokens):
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


def _meta(config: ActivationsExtractConfig, manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.model["name"] or "activations",
        "rows": manifest.rows,
        "d_in": manifest.d_in,
        "dtype": manifest.dtype,
        "layers": sorted(set(config.layers)),
        "hooks": list(dict.fromkeys(place.hook for place in config.places)),
        "mean_norm": {entry.name: round(entry.statistics.mean_norm, 4) for entry in manifest.hooks},
    }
