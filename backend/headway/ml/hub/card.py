"""What a source says of itself: its card (README.md) and its licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import RepoCard
from yaml import YAMLError

from headway.ml.hub.files import CARD

CARD_CHARACTERS = 2000


def card_of(folder: Path) -> dict[str, Any]:
    """The beginning of the card, without its metadata, and the licence that the metadata name; {} without a card.

    A card whose metadata cannot be read is kept as it stands.
    """
    path = folder / CARD
    if not path.is_file():
        return {}
    content = path.read_text(encoding="utf-8", errors="replace")
    try:
        card = RepoCard(content, ignore_metadata_errors=True)
    except (ValueError, YAMLError):
        return {"card": content[:CARD_CHARACTERS]}
    licence = card.data.get("license")
    told = {"license": ", ".join(licence) if isinstance(licence, list) else str(licence)} if licence else {}
    return told | {"card": card.text.strip()[:CARD_CHARACTERS]}
