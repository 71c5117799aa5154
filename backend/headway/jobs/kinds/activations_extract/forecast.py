"""What an extraction takes, from what is said of its model and tokens."""

from __future__ import annotations

from headway.jobs.forecast import Forecast, Metas
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig
from headway.ml.activations.places import forward_bytes, forward_work, store_bytes


def forecast(config: ActivationsExtractConfig, metas: Metas) -> Forecast:
    """Special tokens give no rows, so the disk is an upper bound. Empty where the model does not say its width."""
    tokens, width = metas.get("tokens", {}).get("tokens"), metas.get("model", {}).get("hidden_size")
    if not tokens or not width:
        return Forecast()
    places = config.places
    return Forecast(
        says=f"{tokens:,} rows of {width} at {len(places)} {'places' if len(places) > 1 else 'place'}",
        disk_bytes=store_bytes(tokens, width, len(places), config.store_dtype),
        memory_bytes=forward_bytes(metas["model"].get("bytes") or 0, config.batch_tokens, width),
        work={"extracting": forward_work(tokens, width, max(config.layers))},
    )
