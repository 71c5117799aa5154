"""Documents that cannot rot: what the code has, they name."""

from __future__ import annotations

from pathlib import Path

from headway.jobs.registry import all_kinds
from headway.settings import settings_table

DOCS = Path(__file__).parents[3] / "docs"
KINDS = Path(__file__).parents[2] / "headway" / "jobs" / "kinds"


def test_settings_are_documented_as_they_are() -> None:
    assert (DOCS / "settings.md").read_text() == settings_table(), "run: python -m headway.settings > docs/settings.md"


def test_every_kind_has_a_readme_that_names_it() -> None:
    for name in all_kinds():
        readme = KINDS / name.replace(".", "_") / "README.md"
        assert name in readme.read_text(), f"{readme} does not name {name}"
