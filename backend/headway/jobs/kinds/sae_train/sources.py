"""Which source a config names: the store of an artifact, or a model over tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.specs import own_configs
from headway.ml.activations.buffering import ContextOrder
from headway.ml.activations.forward import rows_of_contexts
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.places import HookName, Place
from headway.ml.activations.reader import RowOrder
from headway.ml.activations.sources import Offer, RowSource, StoredRows, StreamedRows, Watch
from headway.ml.sae.architectures import TRANSCODERS
from headway.ml.text.token_store import TokenStore

DEFAULT_HOOK: HookName = "resid_post"


class Opened(NamedTuple):
    """What a source has, and `rows(places, watch, state)` that opens it at the places a plan reads."""

    offer: Offer
    rows: Callable[[Sequence[Place], Watch, Mapping[str, Any] | None], RowSource]


def open_source(config: SaeTrainConfig, job: JobContext) -> Opened:
    """Raises InvalidInputError by field where a model, its tokens and the places wanted do not fit."""
    return _stored(config, job) if config.activations else _streamed(config, job)


def _stored(config: SaeTrainConfig, job: JobContext) -> Opened:
    folder: Path = job.input("activations")
    manifest = Manifest.read(folder)
    order = RowOrder(manifest.rows, config.batch_rows, config.seed, config.eval_rows)
    places = [entry.place for entry in manifest.hooks]
    offer = Offer(manifest.rows, manifest.d_in, places, order.batches_per_epoch, manifest.model, manifest.tokens)

    def rows(wanted: Sequence[Place], watch: Watch, state: Mapping[str, Any] | None) -> StoredRows:
        return StoredRows(folder, manifest, order, wanted, job.device)

    return Opened(offer, rows)


def _streamed(config: SaeTrainConfig, job: JobContext) -> Opened:
    from headway.ml.activations.loading import load_forward  # brings transformers: seconds that a store needs not

    job.say("Loading the model")
    tokens = TokenStore(job.input("tokens"))
    places = wanted_places(config)
    reduced = config.compute_dtype == "bfloat16"
    forward, d_in = load_forward(
        job.input("model"), tokens, places, job.device, reduced=reduced, hook_field="config.hook"
    )
    order = ContextOrder(rows_of_contexts(tokens), config.batch_rows, config.buffer_rows, config.seed, config.eval_rows)
    about = {"name": job.input_meta("tokens").get("name"), "context_length": tokens.manifest.context_length}
    model = {"name": job.input_meta("model").get("name"), "revision": job.input_meta("model").get("revision")}
    offer = Offer(order.rows, d_in, places, order.batches_per_epoch, model, about)

    def rows(wanted: Sequence[Place], watch: Watch, state: Mapping[str, Any] | None) -> StreamedRows:
        return StreamedRows(forward, d_in, order, wanted, config.batch_tokens, job.device, watch, state)

    return Opened(offer, rows)


def wanted_places(config: SaeTrainConfig) -> list[Place]:
    """The places a streamed training reads, transcoders' targets last. Raises InvalidInputError by field."""
    if not config.layers:
        raise InvalidInputError(FieldProblem("config.layers", "name the layers to stream: there is no store with some"))
    hook = _hook(config.hook or DEFAULT_HOOK, "config.hook")
    places = [Place(layer, hook) for layer in sorted(config.layers)]
    if any(own.architecture in TRANSCODERS for own in own_configs(config).values()):
        target = _hook(config.target_hook or hook, "config.target_hook")
        places += [Place(place.layer + config.target_layers_on, target) for place in places]
    return list(dict.fromkeys(places))


def _hook(name: str, field: str) -> HookName:
    known = get_args(HookName)
    if name not in known:
        raise InvalidInputError(FieldProblem(field, f"{name!r} is none of {', '.join(known)}"))
    return cast("HookName", name)
