"""The SAEs of a folder, with the places in a model they belong to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.activations.places import HookName, Place
from headway.ml.sae.saelens import CONFIG_FILE, SavedSae, load_sae
from headway.ml.sae.weights import Weights

# `blocks.3.hook_resid_post` and `blocks.3.hook_mlp_out`, as SAELens and TransformerLens write them.
HOOK_POINT = re.compile(r"blocks\.(\d+)\.hook_(\w+)")


@dataclass(frozen=True, slots=True)
class PlacedSae:
    """One SAE: it reads rows at `source` and makes those at `target`, another place for a transcoder.

    `summary` is what its maker said of it.
    """

    name: str
    sae: SavedSae
    source: Place
    target: Place
    summary: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """As it was trained, where that is known; SAELens has fewer names."""
        return str(self.summary.get("architecture") or self.sae.config["architecture"])

    @property
    def d_in(self) -> int:
        """Width of the rows it takes."""
        return self.sae.weights.enc.shape[1]

    @property
    def d_sae(self) -> int:
        """How many features it has."""
        return len(self.sae.weights.enc)


def load_saes(
    folder: Path, wanted: Sequence[str], summaries: Sequence[Mapping[str, Any]], device: str = "cpu"
) -> list[PlacedSae]:
    """The SAEs in `folder`, sorted by name; only the `wanted` ones where some are named.

    `summaries` are those of its maker, each with the `folder` it is about. Raises InvalidInputError: one is not there
    (`config.saes`), cannot be read, or does not say where in a model it belongs (`config.sae`).
    """
    there = sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob(CONFIG_FILE))
    if missing := sorted(set(wanted) - set(there)):
        problem = f"{', '.join(missing)} is not in the artifact, which holds {', '.join(there) or 'no SAE'}"
        raise InvalidInputError(FieldProblem("config.saes", problem))
    if not there:
        raise InvalidInputError(FieldProblem("config.sae", f"it holds no SAE: no {CONFIG_FILE} is in it"))
    by_folder = {str(summary.get("folder")): summary for summary in summaries}
    chosen = [name for name in there if not wanted or name in wanted]
    return [_placed(folder, name, by_folder.get(name, {}), device) for name in chosen]


def _placed(folder: Path, name: str, summary: Mapping[str, Any], device: str) -> PlacedSae:
    try:
        sae = _on_device(load_sae(folder / name), device)
        metadata = cast("Mapping[str, Any]", sae.config.get("metadata") or sae.config)
        source = _place(str(metadata.get("hook_name")))
        out = metadata.get("hook_name_out")
        return PlacedSae(name, sae, source, _place(str(out)) if out else source, summary)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(FieldProblem("config.sae", f"{name} cannot be used: {error}")) from error


def _place(hook_name: str) -> Place:
    found = HOOK_POINT.fullmatch(hook_name)
    if found is None or found[2] not in get_args(HookName):
        known = ", ".join(f"blocks.N.hook_{hook}" for hook in get_args(HookName))
        raise ValueError(f"its hook_name is {hook_name!r}; {known} are known")
    return Place(int(found[1]), cast("HookName", found[2]))


def _on_device(sae: SavedSae, device: str) -> SavedSae:
    weights = Weights(*(tensor.to(device) for tensor in sae.weights))
    return sae._replace(weights=weights, extra={name: tensor.to(device) for name, tensor in sae.extra.items()})
