"""The config of each SAE of a layer, out of the one form."""

from __future__ import annotations

from headway.jobs.kinds.sae_train.config import SaeTrainConfig


def own_configs(config: SaeTrainConfig) -> dict[str, SaeTrainConfig]:
    """The config of each SAE of a layer by its label, which is empty where there is no list of them."""
    if not config.saes:
        return {"": config}
    found: dict[str, SaeTrainConfig] = {}
    for number, spec in enumerate(config.saes, 1):
        changes = spec.model_dump(exclude={"name"}, exclude_none=True)
        if "expansion" in changes:
            changes.setdefault("d_sae", None)
        own = config.model_copy(update=changes)
        found[spec.name or f"{own.architecture}{number}"] = own
    return found
