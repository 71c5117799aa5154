"""The README of a repository of SAEs: what they are of, how to load them, how well they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Figures by the name `sae.train` gives them, and how the card heads their columns.
FIGURES = {"l0": "L0", "fvu": "FVU", "cosine": "cosine", "dead_fraction": "dead", "dense_fraction": "dense"}
PLACES = {"architecture": "architecture", "layer": "layer", "hook": "hook", "d_sae": "features", "k": "k"}


def card(repo_id: str, names: Sequence[str], meta: Mapping[str, Any], model: str | None) -> str:
    """The text of README.md. `names` are the folders, `meta` what `sae.train` said of its artifact."""
    base = f"base_model: {model}\n" if model else ""
    about = f" of `{model}`" if model else ""
    return (
        f"---\nlibrary_name: saelens\n{base}tags:\n- sparse-autoencoder\n- saelens\n---\n\n"
        f"# Sparse autoencoders{about}\n\n"
        f"{len(names)} trained with Headway on {meta.get('rows', 'an unknown number of')} rows.\n\n"
        "```python\nfrom sae_lens import SAE\n\n"
        f'sae = SAE.from_pretrained("{repo_id}", "{names[0]}")\n```\n\n'
        f"{_table(names, meta.get('saes', []))}\n"
    )


def _table(names: Sequence[str], summaries: Sequence[Mapping[str, Any]]) -> str:
    found = {str(each.get("folder")): each for each in summaries}
    said = [name for name in PLACES | FIGURES if any(name in each for each in found.values())]
    heads = ["folder", *((PLACES | FIGURES)[name] for name in said)]
    lines = [[f"`{name}`", *(_cell(found.get(name, {}).get(figure)) for figure in said)] for name in names]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines))


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
