"""Text comes from a hub, a folder, or the Python installation that is on every machine."""

from __future__ import annotations

import json
from pathlib import Path

from headway.spool.records import EventKind
from tests.integration.hub_fixture import running_hub
from tests.kind_runs import Example, run_kind
from tests.tiny_models import some_text


def example(folder: Path) -> Example:
    """Text that lies in a folder."""
    return Example({"source": str(some_text(folder / "source"))})


def test_text_from_a_hub_arrives_with_its_folders(tmp_path, monkeypatch):
    files = {"data/train.jsonl": b'{"text": "hello"}\n', "README.md": b"# about", "data/train.csv": b"text"}
    with running_hub(tmp_path / "hub") as hub:
        hub.add("datasets", "someone/texts", files)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        ran = run_kind(tmp_path / "job", "dataset.download", {"source": "someone/texts"})
    assert ran.result["outcome"] == "completed"
    assert (ran.outputs["dataset"] / "data/train.jsonl").read_bytes() == files["data/train.jsonl"]
    assert not (ran.outputs["dataset"] / "data/train.csv").exists()
    assert ran.artifacts["dataset"]["card"] == "# about"


def test_a_streamed_dataset_keeps_its_card_and_a_pinned_list_alone(tmp_path, monkeypatch):
    files = {"train.jsonl": b"{}\n", "test.jsonl": b"{}\n", "README.md": b"# about"}
    with running_hub(tmp_path / "hub") as hub:
        hub.add("datasets", "someone/texts", files)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        config = {"source": "someone/texts", "stream": True, "split": "train"}
        ran = run_kind(tmp_path / "job", "dataset.download", config)
    assert ran.result["outcome"] == "completed"
    assert sorted(path.name for path in ran.outputs["dataset"].iterdir()) == ["README.md", "source.json"]
    record = json.loads((ran.outputs["dataset"] / "source.json").read_text())
    place = f"{hub.url}/datasets/someone/texts/resolve/{record['revision']}/train.jsonl"
    assert record["streamed"] == {"train.jsonl": {"bytes": 3, "place": place}}


def test_parquet_that_is_none_is_refused_with_its_name(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.parquet").write_bytes(b"PAR1 and no more")
    ran = run_kind(tmp_path / "job", "dataset.download", {"source": str(tmp_path / "source")})
    assert ran.result["error"]["message"].startswith("config.source: a.parquet is not a whole parquet file")


def test_a_local_folder_is_copied_and_narrowed_by_patterns(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a.txt", "b.txt", "c.md"):
        (source / name).write_text(name)
    config = {"source": str(source), "include": ["*.txt"]}
    ran = run_kind(tmp_path / "job", "dataset.download", config)
    record = json.loads((ran.outputs["dataset"] / "source.json").read_text())
    assert sorted(record["files"]) == ["a.txt", "b.txt"]
    assert ran.artifacts["dataset"]["source"] == str(source)


def test_a_folder_without_text_is_refused_by_field(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/picture.png").write_bytes(b"x")
    ran = run_kind(tmp_path / "job", "dataset.download", {"source": str(tmp_path / "source")})
    assert ran.result["error"]["class"] == "VALIDATION"
    assert "picture.png" in ran.result["error"]["message"]


def test_the_prose_of_python_is_there_on_every_machine(tmp_path: Path):
    ran = run_kind(tmp_path / "job", "dataset.download", {"source": "package:python-docs"})
    assert ran.result["outcome"] == "completed"
    assert ran.artifacts["dataset"]["license"] == "PSF-2.0"
    texts = list(ran.outputs["dataset"].rglob("*.txt"))
    assert sum(path.stat().st_size for path in texts) > 1_000_000
    last = ran.of(EventKind.COUNTERS)[-1]
    assert last["phase"] == "verifying"
    assert last["counters"][0]["current"] == last["counters"][0]["total"]  # of what was read, though less is kept


def test_a_cancelled_download_declares_nothing(tmp_path):
    ran = run_kind(tmp_path / "job", "dataset.download", {}, prepare=lambda control: control.cancel())
    assert ran.result["outcome"] == "cancelled"
    assert not ran.artifacts
