"""The whole kind: searched, watched, stopped, taken up to the same end, saved."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headway.jobs.kinds.strategy_optimize import KIND
from headway.jobs.kinds.strategy_optimize.reading import read_example
from headway.jobs.order import JobOrder
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.installation import wait_until
from tests.kind_runs import Example, Ran, read_back, run_kind

QUICK = {
    "episodes": 12,
    "window_episodes": 3,
    "train_days": 150,
    "test_days": 60,
    "checkpoint_seconds": 0,
    "least_trades": 3,
}
NAME = "strategy.optimize"


def example(folder: Path) -> Example:
    """A short search over the year of the example, with three windows."""
    return Example(QUICK)


def configuration(ran: Ran) -> dict[str, Any]:
    return json.loads((ran.outputs["configuration"] / "configuration.json").read_text())


def searched(ran: Ran) -> list[tuple[dict[str, float], float]]:
    """The episodes of the main search: parameters and score."""
    names = [name for name in ran.metrics if name.startswith("params/")]
    steps = sorted(ran.metrics["score"])
    return [({name: ran.metrics[name][step] for name in names}, ran.metrics["score"][step]) for step in steps]


def test_search_is_validated_and_saved(tmp_path: Path) -> None:
    ran = run_kind(tmp_path / "job", NAME, QUICK)
    assert ran.result["outcome"] == "completed", ran.result
    assert ran.phases == ["data_collection", "optimization", "validation", "saving"]
    saved = configuration(ran)
    assert sorted(ran.metrics["score"]) == list(range(1, 13))
    assert saved["score"] == max(ran.metrics["score"].values()) == ran.metrics["best_score"][12]
    assert saved["parameters"] == {name: ran.metrics[f"best_params/{name}"][12] for name in ("fast", "slow")}
    assert saved["walk_forward"]["windows"][0]["train_from"] == "2017-01-01T22:00:00Z"
    assert set(saved["curves"]) == {"in_sample", "out_of_sample", "walk_forward"}
    assert {path.name for path in ran.outputs["configuration"].iterdir()} == {
        "configuration.json",
        "equity_in_sample.parquet",
        "equity_out_of_sample.parquet",
        "trades.csv",
    }


def test_search_never_sees_the_held_out_candles(tmp_path: Path) -> None:
    candles = read_example("eurusd-1h")
    split = len(candles) - int(len(candles) * 0.25)
    lines = ["time,open,high,low,close,volume"]
    for row in range(len(candles)):
        scale = 1.0 if row < split else 1.5  # another future
        prices = (getattr(candles, name)[row] * scale for name in ("open", "high", "low", "close"))
        lines.append(",".join(map(repr, map(float, (candles.time[row], *prices, candles.volume[row])))))
    path = tmp_path / "other.csv"
    path.write_text("\n".join(lines))
    quick = QUICK | {"walk_forward": False}
    here, there = run_kind(tmp_path / "a", NAME, quick), run_kind(tmp_path / "b", NAME, quick | {"path": str(path)})
    assert searched(here) == searched(there)
    assert configuration(here)["in_sample"] == configuration(there)["in_sample"]


def test_counters_are_episodes_and_candles(tmp_path: Path) -> None:
    ran = run_kind(tmp_path / "job", NAME, QUICK)
    told = [data for data in ran.of(EventKind.COUNTERS) if data["phase"] == "optimization"]
    assert told[-1]["counters"][0] == {"unit": "episode", "current": 12, "total": 12}
    candles = [counter for data in told for counter in data["counters"] if counter["unit"] == "candle"]
    assert all(counter["total"] == 4669 and 0 <= counter["current"] < 4669 for counter in candles)
    windows = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "validation"]
    assert windows[-1][0] == {"unit": "window", "current": 3, "total": 3}


@pytest.mark.parametrize("method", ["tpe", "random", "grid", "gp"])
def test_same_seed_gives_the_same_search_whatever_the_threads(tmp_path: Path, method: str) -> None:
    config = QUICK | {"method": method, "walk_forward": False, "parallel": 3, "seed": 5}
    one = run_kind(tmp_path / "one", NAME, config, threads=1)
    two = run_kind(tmp_path / "two", NAME, config, threads=2)
    assert one.result["outcome"] == "completed", one.result
    assert searched(one) == searched(two)
    assert configuration(one) == configuration(two)
    other = run_kind(tmp_path / "other", NAME, config | {"seed": 6})
    assert searched(one) != searched(other)


@pytest.mark.parametrize(
    "more",
    [
        {"method": "tpe"},
        pytest.param({"method": "gp", "episodes": 14, "walk_forward": False}, marks=pytest.mark.chaos),
        pytest.param({"prune": True}, marks=pytest.mark.chaos),
    ],
)
def test_killed_search_goes_on_with_the_same_episodes(tmp_path: Path, more: dict[str, Any]) -> None:
    config = QUICK | {"episodes": 60, "window_episodes": 8} | more
    whole = run_kind(tmp_path / "whole", NAME, config)
    killed = killed_run(tmp_path / "killed", config, checkpoints=4)
    left = sorted((killed.folder / "checkpoints").glob("step-*"), reverse=True)
    again = run_kind(tmp_path / "again", NAME, config, attempt=2, resume_from=left)
    assert again.result["outcome"] == "completed", again.result
    first = min(again.metrics["score"], default=1)
    before = [episode for step, episode in enumerate(searched(killed), 1) if step < first]
    assert 0 < first - 1 < config["episodes"]
    assert before + searched(again) == searched(whole)
    assert configuration(again) == configuration(whole)


def killed_run(folder: Path, config: dict[str, Any], *, checkpoints: int) -> Ran:
    """Start the job's process as a worker does and kill it once so many checkpoints were left."""
    folder.mkdir()
    output = folder / "out" / "configuration"
    order = JobOrder(
        job_id="t" * 12, attempt=1, kind=NAME, config=config, phases=list(KIND.phases), threads=2,
        outputs={"configuration": str(output)}, spool_quota_bytes=64 << 20,
    )  # fmt: skip
    order.write(folder)
    Control.create(folder / "control")
    process = subprocess.Popen([sys.executable, "-m", "headway.jobs.process", str(folder)])

    def far_enough() -> bool:
        assert process.poll() is None, "it ended before it could be killed"
        return any(int(path.name[5:]) >= checkpoints * 2 for path in (folder / "checkpoints").glob("step-*"))

    try:
        wait_until(far_enough, every=0.005, what="its checkpoints")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    return read_back(Ran({}, folder, {"configuration": output}))


def test_rerun_refuses_other_prices(tmp_path: Path) -> None:
    ran = run_kind(tmp_path / "job", NAME, QUICK | {"data_sha256": "0" * 64})
    assert ran.result["error"]["class"] == "VALIDATION"
    assert "config.example: the prices are not those of data_sha256" in ran.result["error"]["message"]


def test_pruned_episodes_end_early_and_are_never_the_best(tmp_path: Path) -> None:
    config = QUICK | {"episodes": 80, "prune": True, "walk_forward": False}
    ran = run_kind(tmp_path / "job", NAME, config)
    pruned = {step for step, value in ran.metrics["pruned"].items() if value}
    assert 0 < len(pruned) < 80
    whole = [score for step, score in ran.metrics["score"].items() if step not in pruned]
    assert configuration(ran)["score"] == max(whole)
    assert configuration(ran)["in_sample"]["trades"] >= 3


def test_overfitting_is_said(tmp_path: Path) -> None:
    saved = configuration(run_kind(tmp_path / "job", NAME, QUICK | {"least_ratio": 10}))
    assert saved["ratio"] < 10
    assert "Over-fitting is likely" in saved["warning"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"strategy": "astrology"},
            "config.strategy: Value error, there is no strategy 'astrology'; there are: moving",
        ),
        ({"parameters": {"quick": {"low": 1, "high": 2}}}, "parameters.quick: moving_average_cross has fast, slow"),
        ({"parameters": {"fast": {"low": 1, "high": 2}}}, "parameters.fast: must lie within 3 to 60"),
        ({"parameters": {"fast": {"low": 5, "high": 9, "step": 0.5}}}, "parameters.fast: its values are whole"),
        ({"train_days": 4000}, "config.train_days: the prices reach over 362 days"),
        ({"least_trades": 5000}, "config.least_trades: no episode made 5000 trades"),
        ({"path": "/no/such.csv"}, "config.path: there is no file /no/such.csv"),
        ({"path": "/etc/passwd"}, "config.path: passwd must end in .csv or .parquet"),
        ({"method": "grid", "strategy": "liquidity_sweep"}, "config.parameters: pierce_depth has no step"),
    ],
)
def test_what_does_not_fit_is_said_by_its_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    ran = run_kind(tmp_path / "job", NAME, QUICK | change)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert said in ran.result["error"]["message"]


def test_without_its_extra_the_kind_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KIND.unavailable_reason is None
    del KIND.__dict__["unavailable_reason"]
    monkeypatch.setitem(sys.modules, "optuna", None)
    try:
        assert KIND.unavailable_reason == "needs optuna: install it with `pip install 'headway[strategy]'`"
    finally:
        del KIND.__dict__["unavailable_reason"]


THEIRS = """
import numpy as np
from headway.jobs.kinds.strategy_optimize.engine import Signals
from headway.jobs.kinds.strategy_optimize.parameters import Parameter, Strategy

class EveryNth(Strategy):
    name = "every_nth"
    title = "Every nth candle"
    parameters = {"n": Parameter(10, 40, 10)}

    def signals(self, candles, parameters):
        signals = Signals.none(len(candles))
        places = np.arange(0, len(candles), int(parameters["n"]))
        signals.entry[places] = np.where(np.arange(len(places)) % 2, 1, -1)
        return signals
"""


def test_strategy_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_strategies.py").write_text(THEIRS)
    info = tmp_path / "their_strategies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-strategies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headway.strategies]\nevery_nth = their_strategies:EveryNth\n")
    monkeypatch.syspath_prepend(tmp_path)
    quick = QUICK | {"strategy": "every_nth", "method": "grid", "walk_forward": False}
    ran = run_kind(tmp_path / "job", NAME, quick)
    assert ran.result["outcome"] == "completed", ran.result
    assert sorted(ran.metrics["params/n"].values()) == [10, 20, 30, 40]
    assert configuration(ran)["strategy"] == "every_nth"


def test_a_search_imports_neither_torch_nor_pandas() -> None:
    module = KIND.run.partition(":")[0]
    look = f"import {module}, sys; print([name for name in ('torch', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "[]\n"
