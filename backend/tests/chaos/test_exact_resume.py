"""Real job processes killed at random moments and taken up again: the same bits as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headway.jobs.checkpoints import newest_valid
from headway.jobs.kinds.sae_train.test_sae_train import CONFIG, SEVERAL, STREAM, make_store
from headway.jobs.order import InputPlace, JobOrder
from headway.jobs.registry import get_kind
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.kind_runs import Ran, read_back, run_kind
from tests.tiny_models import some_text, tiny_bert, tiny_llama

Report = Callable[[str, str, str, str], None]
KILLS = 20
DEADLINE_SECONDS = 600
STEPS_PER_EPOCH = 28
SAE_STEPS = 30 * STEPS_PER_EPOCH
EXTRACT = {"layers": [0, 2], "batch_tokens": 64, "checkpoint_every_seconds": 0}
TOKENIZE = {"context_length": 16, "checkpoint_every_seconds": 0}

# What a process runs before anything else, as its `sitecustomize`.
SMALL_SHARDS = "from headway.ml.activations import writer; writer.SHARD_BYTES = 1000 * 16 * 2"
DRAWS = """
import random, numpy, torch
from headway.ml.activations.reader import HookReader
gather = HookReader.gather
def noisy(self, indices, scale=1.0):
    rows = gather(self, indices, scale)
    return rows + 0.01 * (random.random() + numpy.random.random()) * torch.randn(rows.shape)
HookReader.gather = noisy
"""
FORGETS_RNG = "\nfrom headway.ml import rng; rng.restore = lambda state: None"
FORGETS_ADAM = """
from headway.ml.sae.trainer import Adam, SaeTrainer
load = SaeTrainer.load
def forgetful(config, path, device="cpu"):
    trainer = load(config, path, device)
    trainer._adam = Adam(trainer.weights)
    return trainer
SaeTrainer.load = forgetful
"""


@dataclass
class Attempts:
    """One job in attempts, each a process and a folder of its own, all into one output; `first` runs before any."""

    root: Path
    kind: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Path]
    first: str = ""
    folders: list[Path] = field(default_factory=list)
    resumed_from: list[int] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """The next attempt, from the newest checkpoint there is."""
        folder = self.root / str(len(self.folders) + 1)
        folder.mkdir(parents=True)
        left = self.checkpoints()
        newest = newest_valid(left)
        self._order(left).write(folder)
        Control.create(folder / "control")
        self.folders.append(folder)
        self.resumed_from.append(newest.step if newest else 0)
        (folder / "sitecustomize.py").write_text(self.first)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        with (folder / "said").open("wb") as said:
            command = [sys.executable, "-m", "headway.jobs.process", str(folder)]
            return subprocess.Popen(command, env=environment, stdout=said, stderr=said)

    def _order(self, left: list[Path]) -> JobOrder:
        kind = get_kind(self.kind)
        return JobOrder(
            job_id="t" * 12,
            attempt=len(self.folders) + 1,
            kind=self.kind,
            config=dict(self.config) | {name: f"artifact:{name[0] * 12}" for name in self.inputs},
            phases=list(kind.phases),
            inputs={n: InputPlace(artifact_id=n[0] * 12, type="", path=str(p)) for n, p in self.inputs.items()},
            outputs={output.name: str(self.out / output.name) for output in kind.outputs},
            resume_from=[str(path) for path in left],
        )

    @property
    def out(self) -> Path:
        """Where the outputs of all attempts lie."""
        return self.root / "out"

    def checkpoints(self) -> list[Path]:
        """Those of all attempts, newest first."""
        found = [path for folder in self.folders for path in folder.glob("checkpoints/step-*")]
        return sorted(found, key=lambda path: (path.name, int(path.parent.parent.name)), reverse=True)

    def branch(self, root: Path, first: str) -> Attempts:
        """Another way on from here, into an output of its own."""
        return Attempts(root, self.kind, self.config, self.inputs, first, list(self.folders), list(self.resumed_from))

    def kill_after(self, step: int, seconds: float) -> bool:
        """Start an attempt and kill it `seconds` after its checkpoint of `step`; answers whether it came in time."""
        process = self.start()
        try:
            if step:
                folder = self.folders[-1] / "checkpoints"
                wait_until(lambda: process.poll() is not None or reached(folder) >= step)
            return wait(process, seconds) is None
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def finish(self, process: subprocess.Popen[bytes] | None = None) -> Attempts:
        """Let the (next) attempt run to its end, which must be a completed job."""
        assert wait(process or self.start(), DEADLINE_SECONDS) == 0
        [result] = self.read(self.folders[-1]).of(EventKind.RESULT)
        assert result == {"outcome": "completed", "error": None}, (self.folders[-1] / "said").read_text()
        return self

    def read(self, folder: Path) -> Ran:
        """What an attempt said."""
        return read_back(Ran({}, folder, {}))

    def curve(self) -> dict[str, dict[int, str]]:
        """The effective curve in hex: an attempt owns the steps up to where the next one took up."""
        joined: dict[str, dict[int, str]] = {}
        for folder, until in zip(self.folders, [*self.resumed_from[1:], sys.maxsize], strict=True):
            for name, points in self.read(folder).metrics.items():
                if not name.endswith("_per_s"):
                    curve = joined.setdefault(name, {})
                    curve |= {step: value.hex() for step, value in points.items() if step <= until}
        return joined

    def made(self) -> dict[str, str]:
        """The sha256 of every file of the outputs."""
        files = [path for path in self.out.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def wait_until(came: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not came():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.001)


def reached(checkpoints: Path) -> int:
    return max((int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*")), default=0)


def kill_often(job: Attempts, seed: int, kills: int, last_step: int, every: int = 1) -> int:
    """Kill one attempt after the other, most a moment after a random checkpoint, some while they start; how many."""
    chance = random.Random(seed)
    places = sorted(chance.sample(range(1, last_step // every), kills - kills // 5))
    steps = sorted(chance.choice(places) for _ in range(kills // 5))  # these attempts die before they get anywhere
    moments = sorted([(place, True) for place in places] + [(place, False) for place in steps])
    killed = 0
    for place, gets_on in moments:
        killed += job.kill_after(*((place * every, chance.uniform(0, 0.03)) if gets_on else (0, chance.uniform(0, 1))))
    return killed


def sae_job(folder: Path, store: Path, first: str = "", steps: int = SAE_STEPS, **changes: Any) -> Attempts:
    config = CONFIG | {"epochs": steps // STEPS_PER_EPOCH, "dead_after_rows": 3000} | changes
    return Attempts(folder, "sae.train", config, {"activations": store}, first)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "activations")


@pytest.fixture
def text_and_model(tmp_path: Path) -> dict[str, Path]:
    return {"dataset": some_text(tmp_path / "text", documents=200), "model": tiny_bert(tmp_path / "model")}


def test_killed_training_goes_on_to_the_same_bits_and_without_its_rng_it_does_not(tmp_path: Path, store: Path) -> None:
    several = {"layers": [1], "saes": SEVERAL, "ema_decay": 0.9}
    whole, job = (sae_job(tmp_path / name, store, DRAWS, steps=112, **several) for name in ("whole", "job"))
    running = whole.start()
    assert job.kill_after(60, 0.01)
    forgetful = job.branch(tmp_path / "forgetful", DRAWS + FORGETS_RNG)
    forgetting = forgetful.start()
    job.finish()
    forgetful.finish(forgetting)
    whole.finish(running)
    assert 60 <= job.resumed_from[-1] < 112
    assert job.curve() == whole.curve()
    assert job.made() == whole.made()
    assert forgetful.curve() != whole.curve()
    assert forgetful.made() != whole.made()


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("first", "changes"),
    [
        pytest.param("", {}, id="as it is"),
        pytest.param(DRAWS, {}, id="drawing at each step"),
        pytest.param(DRAWS, {"saes": SEVERAL, "ema_decay": 0.9}, id="ten SAEs, drawing at each step"),
    ],
)
def test_training_killed_twenty_times_is_the_same_in_hex(
    tmp_path: Path, store: Path, report: Report, first: str, changes: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    whole, job = (sae_job(tmp_path / name, store, first, **changes) for name in ("whole", "job"))
    assert_same_curves(whole, job, report, request.node.callspec.id, last_step=SAE_STEPS - 30)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_streamed_training_killed_twenty_times_is_the_same_in_hex(tmp_path: Path, report: Report) -> None:
    model = tiny_llama(tmp_path / "model")
    text = {"dataset": some_text(tmp_path / "text", documents=120), "model": model}
    tokens = run_kind(tmp_path / "tokens", "dataset.tokenize", TOKENIZE, inputs=text).outputs["tokens"]
    config = CONFIG | STREAM | {"saes": SEVERAL, "max_rows": SAE_STEPS * 64, "epochs": 1000}
    inputs = {"model": model, "tokens": tokens}
    whole, job = (Attempts(tmp_path / name, "sae.train", config, inputs) for name in ("whole", "job"))
    assert_same_curves(whole, job, report, "ten SAEs, streamed", last_step=SAE_STEPS - 30)


def assert_same_curves(whole: Attempts, job: Attempts, report: Report, what: str, last_step: int) -> None:
    running = whole.start()
    killed = kill_often(job, seed=3, kills=KILLS, last_step=last_step, every=10)
    job.finish()
    whole.finish(running)
    expected, curve = whole.curve(), job.curve()
    assert {len(points) for points in expected.values()} <= {SAE_STEPS, 1}  # 1: the evaluation
    values = sum(map(len, expected.values()))
    same = sum(curve[name].get(step) == value for name, points in expected.items() for step, value in points.items())
    weights = "equal" if job.made() == whole.made() else "DIFFERENT"
    report(
        f"3 sae.train killed: {what}",
        f"{killed} random SIGKILLs, resumed at {len(set(job.resumed_from)) - 1} different steps",
        f"{same} of {values} values of {len(expected)} metrics equal in hex, files' sha256 {weights}",
        "all equal",
    )
    assert killed == KILLS
    assert curve == expected
    assert job.made() == whole.made()


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("draws", "forgets"),
    [pytest.param(DRAWS, FORGETS_RNG, id="random generators"), pytest.param("", FORGETS_ADAM, id="Adam's state")],
)
def test_training_that_forgets_part_of_its_state_is_found_out(
    tmp_path: Path, store: Path, report: Report, draws: str, forgets: str, request: pytest.FixtureRequest
) -> None:
    whole, job = sae_job(tmp_path / "whole", store, draws), sae_job(tmp_path / "job", store, draws + forgets)
    running = whole.start()
    killed = kill_often(job, seed=5, kills=3, last_step=SAE_STEPS - 30, every=10)
    job.finish()
    whole.finish(running)
    expected, curve = whole.curve()["layer1/loss"], job.curve()["layer1/loss"]
    differ = [step for step, value in expected.items() if curve[step] != value]
    what = request.node.callspec.id
    report(
        f"3 control: without {what}",
        f"{killed} random SIGKILLs",
        f"{len(differ)} of {len(expected)} losses differ",
        "> 0 differ",
    )
    assert min(differ) > next(step for step in job.resumed_from if step)
    assert job.made() != whole.made()


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_extraction_killed_twenty_times_leaves_the_same_bytes(
    tmp_path: Path, text_and_model: dict[str, Path], report: Report
) -> None:
    tokens = run_kind(tmp_path / "tokens", "dataset.tokenize", TOKENIZE, inputs=text_and_model).outputs["tokens"]
    inputs = {"model": text_and_model["model"], "tokens": tokens}
    whole, job = (
        Attempts(tmp_path / name, "activations.extract", EXTRACT, inputs, SMALL_SHARDS) for name in ("whole", "job")
    )
    assert_same_bytes(whole, job, report, seed=11)
    assert len(list(job.out.rglob("shard-*.bin"))) > 20


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_tokenizing_killed_twenty_times_leaves_the_same_bytes(
    tmp_path: Path, text_and_model: dict[str, Path], report: Report
) -> None:
    whole, job = (Attempts(tmp_path / n, "dataset.tokenize", TOKENIZE, text_and_model) for n in ("whole", "job"))
    assert_same_bytes(whole, job, report, seed=13)


def assert_same_bytes(whole: Attempts, job: Attempts, report: Report, seed: int) -> None:
    whole.finish()
    killed = kill_often(job, seed, KILLS, last_step=reached(whole.folders[0] / "checkpoints") - 10)
    job.finish()
    expected, made = whole.made(), job.made()
    same = sum(made.get(name) == sha256 for name, sha256 in expected.items())
    report(
        f"3 {job.kind} killed",
        f"{killed} random SIGKILLs, resumed at {len(set(job.resumed_from)) - 1} different steps",
        f"{same} of {len(expected)} files equal in sha256",
        "all equal",
    )
    assert killed == KILLS
    assert made == expected
