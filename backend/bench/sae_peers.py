"""One whole training step of ours beside SAELens', sparsify's and dictionary_learning's, in turns, on the same rows.

    make bench-sae        or        .venv/bin/python backend/bench/sae_peers.py [--rounds 10] [--only topk]

384 -> 3072, batch 4096, k 32, float32, Adam. Every contender is a process of its own that runs its library's own
training loop over the same precomputed rows and takes a step when it is its turn, so a noisy neighbour meets them all;
rounds in which other processes used more than a part of the machine are left out where enough others are there.
"100 dead" are features that AuxK works on at every step. Ours also gathers its rows, shuffled, out of a store.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sae_step import ROWS, make_store, open_reader

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".venv-bench-sae/bin/python"
DRIVERS = Path(__file__).parent / "peers"
SCALE = 2.0
WARM_UP_ROUNDS, QUIET_SHARE, LEAST_QUIET = 2, 0.12, 4
BARE = "five bare matmuls"
DEAD = "100"


class Contender(NamedTuple):
    """A driver under `peers/` and its arguments after the threads and the place of the rows."""

    group: str
    driver: str
    arguments: tuple[str, ...]

    def command(self, threads: int, folder: Path) -> list[str]:
        """What starts it."""
        ours = self.driver in ("ours", "bare")
        python = sys.executable if ours else str(PEERS_PYTHON)
        rows = folder / ("store" if ours else "rows.f32")
        return [
            python,
            "-W",
            "ignore",
            str(DRIVERS / f"sae_{self.driver}.py"),
            str(threads),
            str(rows),
            *self.arguments,
        ]


CONTENDERS = {
    BARE: Contender("", "bare", ()),
    "Headway topk": Contender("topk", "ours", ("topk", "0")),
    "Headway topk, bf16 encode": Contender("topk", "ours", ("topk", "0", "bfloat16")),
    "sparsify topk": Contender("topk", "sparsify", ("adam", "0")),
    "dictionary_learning topk": Contender("topk", "dictionary_learning", ("topk", "0")),
    "SAELens topk": Contender("topk", "saelens", ("topk", "0")),
    "Headway topk, 100 dead": Contender("aux", "ours", ("topk", DEAD)),
    "sparsify topk, 100 dead": Contender("aux", "sparsify", ("adam", DEAD)),
    "SAELens topk, 100 dead": Contender("aux", "saelens", ("topk", DEAD)),
    "Headway batch_topk": Contender("batch_topk", "ours", ("batch_topk", "0")),
    "SAELens batch_topk": Contender("batch_topk", "saelens", ("batch_topk", "0")),
    "Headway relu": Contender("relu", "ours", ("relu", "0")),
    "dictionary_learning relu": Contender("relu", "dictionary_learning", ("relu", "0")),
    "SAELens relu": Contender("relu", "saelens", ("relu", "0")),
    "Headway jumprelu": Contender("jumprelu", "ours", ("jumprelu", "0")),
    "dictionary_learning jumprelu": Contender("jumprelu", "dictionary_learning", ("jumprelu", "0")),
    "SAELens jumprelu": Contender("jumprelu", "saelens", ("jumprelu", "0")),
}
#: Faster by at least so much.
AIMS = [
    ("Headway topk", "sparsify topk", 2.0),
    ("Headway topk", "SAELens topk", 4.0),
    ("Headway topk, 100 dead", "sparsify topk, 100 dead", 2.0),
    ("Headway topk, 100 dead", "SAELens topk, 100 dead", 4.0),
    ("Headway topk, bf16 encode", "sparsify topk", 2.7),
    ("Headway relu", BARE, 0.9),
    ("Headway jumprelu", BARE, 0.9),
]


class Player:
    """One running contender."""

    def __init__(self, command: list[str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        environment = os.environ | {"PYTHONPATH": str(ROOT / "backend")}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            env=environment,
        )

    def step(self) -> dict[str, float]:
        """Let it take one step; its wall and processor seconds, and the share of the machine that others used."""
        assert self._process.stdin
        assert self._process.stdout
        before = _busy()
        self._process.stdin.write("\n")
        while (line := self._process.stdout.readline()) and not line.startswith("{"):
            pass  # what libraries print while they are imported
        if not line:
            self._errors.seek(0)
            raise SystemExit(f"{self._process.args}: {self._errors.read()[-2000:]}")
        took = json.loads(line)
        foreign = _busy() - before - took["processor"]
        return took | {"foreign": foreign / (took["seconds"] * (os.cpu_count() or 1))}

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _busy() -> float:
    """Processor seconds that the machine has spent on anything."""
    user, nice, system, _, _, interrupts, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def write_rows(folder: Path) -> None:
    """The store, and the same rows scaled as ours are, as the peers' drivers map them."""
    make_store(folder / "store")
    rows = open_reader(folder / "store").gather(np.arange(ROWS), SCALE)
    rows.numpy().tofile(folder / "rows.f32")


def measure(names: list[str], threads: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """All steps of each after the warm-up, taken in turns."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder))
        players = {name: Player(CONTENDERS[name].command(threads, Path(folder))) for name in names}
        try:
            for number in range(WARM_UP_ROUNDS + rounds):
                for name, player in players.items():
                    took = player.step()
                    if number >= WARM_UP_ROUNDS:
                        found[name].append(took)
        finally:
            for player in players.values():
                player.stop()
    return found


def typical(steps: list[dict[str, float]]) -> float:
    """Median seconds of the quiet steps, of all where there are too few."""
    quiet = [step["seconds"] for step in steps if step["foreign"] < QUIET_SHARE]
    return statistics.median(quiet if len(quiet) >= LEAST_QUIET else [step["seconds"] for step in steps])


def table(found: dict[str, list[dict[str, float]]], rows: int) -> Iterator[str]:
    """A line a contender: milliseconds, rows a second, beside the bare products, and how many steps were quiet."""
    bare = typical(found[BARE])
    for name, steps in found.items():
        seconds, quiet = typical(steps), sum(step["foreign"] < QUIET_SHARE for step in steps)
        figures = f"{1e3 * seconds:8.1f} ms {rows / seconds:9,.0f} rows/s {bare / seconds:6.2f} x bare"
        yield f"{name:30s} {figures}   quiet {quiet}/{len(steps)}"


def missed(found: dict[str, list[dict[str, float]]]) -> bool:
    """Print what was aimed at, and answer whether anything fell short."""
    short = False
    for ours, theirs, aim in AIMS:
        if ours in found and theirs in found:
            ratio = typical(found[theirs]) / typical(found[ours])
            short |= ratio < aim
            print(f"{ours} over {theirs}: {ratio:.2f} (aim {aim}){'' if ratio >= aim else '   MISSED'}")
    return short


def main() -> None:
    """Print both tables; exit 1 where an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=sorted({each.group for each in CONTENDERS.values()} - {""}))
    options = parser.parse_args()
    if not PEERS_PYTHON.exists():
        raise SystemExit("no .venv-bench-sae: make bench-sae makes it")
    names = [name for name, each in CONTENDERS.items() if not each.group or each.group in (options.only or each.group)]
    found = measure(names, options.threads, options.rounds)
    print(f"{options.rounds} rounds, {options.threads} threads, load {os.getloadavg()[0]:.1f}", flush=True)
    for line in table(found, 4096):
        print(line)
    raise SystemExit(missed(found))


if __name__ == "__main__":
    main()
