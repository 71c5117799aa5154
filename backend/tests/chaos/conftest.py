"""Chaos tests report what they measured; the table is printed at the end of `make chaos`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_ROWS: list[tuple[str, str, str, str]] = []


@pytest.fixture
def report() -> Callable[[str, str, str, str], None]:
    """Add a row: scenario, what was done, what was seen, what must hold."""
    return lambda *row: _ROWS.append(row)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if _ROWS:
        terminalreporter.section("chaos")
        for row in [("scenario", "done", "seen", "must hold"), *_ROWS]:
            terminalreporter.write_line("| " + " | ".join(row) + " |")
