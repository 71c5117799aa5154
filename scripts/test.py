"""All tests but the chaos ones, backend and frontend; the counts of both at the end, and 1 if any failed."""

# ruff: noqa: T201 (what it prints is what it is for)

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv" / "bin"


#: More failures than these are no matter of a crowded machine.
MOST_RUN_AGAIN = 3


@dataclass(frozen=True)
class Counts:
    """What one run of tests came to; `complete` if it ran to its end. Of those passed, `alone` failed at first."""

    name: str
    passed: int
    failed: int
    skipped: int
    complete: bool
    alone: int = 0

    @property
    def good(self) -> bool:
        """Whether all ran and none failed."""
        return self.complete and not self.failed and self.passed > 0

    def __str__(self) -> str:
        unfinished = "" if self.complete else ", and did not run to its end"
        crowded = f" ({self.alone} FAILED AMONG THE OTHERS, see FAILED above, and passed alone)" if self.alone else ""
        return f"{self.name}: {self.passed} passed{crowded}, {self.failed} failed, {self.skipped} skipped{unfinished}"


def backend(folder: Path) -> Counts:
    """pytest; what fails while others crowd the machine is run once more alone, and said."""
    # Many tests wait for other processes: three at a time keep two cores busy. A file's tests share its services.
    spread = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--durations=20"]
    first = pytest(folder / "backend.xml", *spread, *sys.argv[1:])
    if not (first.complete and 0 < first.failed <= MOST_RUN_AGAIN):
        return first
    again = pytest(folder / "again.xml", "--last-failed", "--last-failed-no-failures=none", *sys.argv[1:])
    if not again.complete or again.passed + again.failed != first.failed:
        return first
    return Counts("backend", first.passed + again.passed, again.failed, first.skipped, True, alone=again.passed)


def pytest(report: Path, *options: str) -> Counts:
    """One run of it, counted from its JUnit report."""
    command = [BIN / "python", "-m", "pytest", "-m", "not chaos", *options, f"--junit-xml={report}"]
    # several processes of several threads on few cores: what a thread of theirs does while it waits is spin
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    code = subprocess.run(command, cwd=ROOT, env=threads | os.environ, check=False).returncode
    if not report.exists():
        return Counts("backend", 0, 0, 0, complete=False)
    suites = ElementTree.parse(report).getroot().findall("testsuite")
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return Counts("backend", total - failed - skipped, failed, skipped, complete=code in (0, 1))


def frontend(report: Path) -> Counts:
    """Vitest, counted from its JSON report."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = ["npx", "--no-install", "vitest", "run", "--reporter=default", "--reporter=json"]
    code = subprocess.run(
        [*command, f"--outputFile.json={report}"], cwd=ROOT / "frontend", env=environment, check=False
    ).returncode
    if not report.exists():
        return Counts("frontend", 0, 0, 0, complete=False)
    told = json.loads(report.read_text())
    skipped = told["numPendingTests"] + told["numTodoTests"]
    return Counts("frontend", told["numPassedTests"], told["numFailedTests"], skipped, complete=code in (0, 1))


def main() -> int:
    """Run both, even if the first fails."""
    with tempfile.TemporaryDirectory() as folder:
        counts = [backend(Path(folder)), frontend(Path(folder) / "frontend.json")]
    print("\n" + "\n".join(map(str, counts)))
    print(f"\n{sum(c.passed for c in counts)} passed, {sum(c.failed for c in counts)} failed")
    return 0 if all(count.good for count in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
