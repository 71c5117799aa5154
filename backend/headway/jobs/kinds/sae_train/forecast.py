"""What a training takes, from what is said of its activations, or of its model and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from headway.jobs.forecast import Forecast, Metas
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.specs import own_configs
from headway.ml.activations.places import PROCESS_BYTES, forward_bytes, forward_work
from headway.ml.sae.names import Architecture

#: Matrix products [batch, d_in] x [d_in, d_sae] of a step: sparse kinds have the encode, and as much beside it.
SPARSE_PRODUCTS, DENSE_PRODUCTS = 2, 5
SPARSE: frozenset[Architecture] = frozenset({"topk", "batch_topk", "matryoshka", "skip_transcoder"})
#: Of a checkpoint, weights and Adam's two moments; two are kept while a third is written.
CHECKPOINT_COPIES, CHECKPOINTS = 3, 3
#: Weights, gradients and Adam's two moments.
LIVE_COPIES = 4
#: An epoch's order and the split, for each row.
ORDER_BYTES = 8


class _Input(NamedTuple):
    """Rows there are and their width, places trained on, and what streaming adds to memory and work."""

    rows: int
    d_in: int
    places: int
    memory_bytes: int
    work: float


def forecast(config: SaeTrainConfig, metas: Metas) -> Forecast:
    """Early ends by patience aside. Says nothing where its input does not say how large it is."""
    found = _stored(config, metas["activations"]) if "activations" in metas else _streamed(config, metas)
    if found is None:
        return Forecast()
    rows = max(0, found.rows - config.eval_rows) // config.batch_rows * config.batch_rows * config.epochs
    rows = min(rows, config.max_rows or rows)
    each = [(own, own.d_sae or own.expansion * found.d_in) for own in own_configs(config).values()] * found.places
    weights = sum(2 * 4 * found.d_in * d_sae for _, d_sae in each)
    products = sum((SPARSE_PRODUCTS if own.architecture in SPARSE else DENSE_PRODUCTS) * d_sae for own, d_sae in each)
    saes = "1 SAE" if len(each) == 1 else f"{len(each)} SAEs"
    return Forecast(
        says=f"{saes} in {rows // config.batch_rows:,} steps of {config.batch_rows:,} rows",
        disk_bytes=weights * (1 + CHECKPOINT_COPIES * CHECKPOINTS),
        memory_bytes=weights * LIVE_COPIES + found.memory_bytes,
        work={"training": float(rows) * found.d_in * products + found.work * config.epochs},
    )


def _stored(config: SaeTrainConfig, meta: Mapping[str, Any]) -> _Input | None:
    rows, d_in, layers = (meta.get(name) for name in ("rows", "d_in", "layers"))
    if not rows or not d_in or not layers:
        return None
    return _Input(rows, d_in, len(config.layers or layers), PROCESS_BYTES + ORDER_BYTES * rows, 0.0)


def _streamed(config: SaeTrainConfig, metas: Metas) -> _Input | None:
    tokens, width = metas.get("tokens", {}).get("tokens"), metas.get("model", {}).get("hidden_size")
    if not tokens or not width or not config.layers:
        return None
    buffer = 2 * config.buffer_rows * width * len(config.layers)
    memory = buffer + forward_bytes(metas["model"].get("bytes") or 0, config.batch_tokens, width)
    return _Input(tokens, width, len(config.layers), memory, forward_work(tokens, width, max(config.layers)))
