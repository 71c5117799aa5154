"""Text becomes contexts without a token lost, and marks stand where the model wants them."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidInputError
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.text import readers
from headway.ml.text.documents import TextFile, read_pieces, text_files
from headway.ml.text.encoding import make_encoder
from headway.ml.text.packing import PACKERS, DocumentPacker, Marks, Packer, marks_of
from headway.ml.text.python_docs import PythonDocsSource
from headway.ml.text.readers import Piece
from tests.tiny_models import store_tokens, tiny_bert, tiny_llama

PAD, SEPARATOR, START, END = 0, 1, 2, 3
pieces = st.lists(st.tuples(st.lists(st.integers(10, 99), max_size=30), st.booleans()), max_size=20)


def pack(pieces, marks, length, stops=(), packing="packed"):
    """Contexts of the pieces, by a new packer after each of the pieces `stops` counts."""
    packer, contexts = PACKERS[packing](marks, length), []
    for number, (tokens, ends) in enumerate(pieces):
        contexts += packer.add(tokens, ends)
        if number in stops:
            packer = PACKERS[packing](marks, length, packer.rest)
    return contexts + packer.last()


@given(pieces, st.integers(1, 20), st.sets(st.integers(0, 20)), st.sampled_from(sorted(PACKERS)))
def test_packing_gone_on_with_anywhere_gives_the_same_contexts(pieces, length, stops, packing):
    marks = Marks((), (), (SEPARATOR,), PAD, (PAD, SEPARATOR))
    assert pack(pieces, marks, length, stops, packing) == pack(pieces, marks, length, (), packing)


@given(st.lists(st.lists(st.integers(10, 99), max_size=30), max_size=10), st.integers(3, 20))
def test_a_context_of_one_document_holds_no_other(documents, length):
    marks = Marks((START,), (END,), (SEPARATOR,), PAD, ())
    packer = DocumentPacker(marks, length)
    for document in documents:
        contexts = packer.add(document, True)
        assert [token for context in contexts for token in context[1:-1]] == document
        assert all(len(context) == length and context[0] == START for context in contexts[:-1])
    assert packer.last() == []


@given(pieces, st.integers(4, 20), st.booleans())
def test_packing_loses_and_repeats_no_token(pieces, length, marked):
    marks = Marks((START,) if marked else (), (END,) if marked else (), (SEPARATOR,), PAD, (PAD, SEPARATOR, START, END))
    contexts = list(pack(pieces, marks, length))
    text = [token for context in contexts for token in context if token >= 10]
    assert text == [token for tokens, _ in pieces for token in tokens]
    assert all(len(context) == length for context in contexts[:-1])
    for context in contexts:
        inside = context[1:-1] if marked else context
        assert len(context) <= length
        assert any(token >= 10 or token == SEPARATOR for token in inside)
        if marked:
            assert (context[0], context[-1]) == (START, END)


def test_documents_are_parted_by_one_separator():
    marks = Marks((), (), (SEPARATOR,), PAD, (SEPARATOR,))
    assert pack([([10, 11], False), ([12], True), ([], True), ([13], True)], marks, 8) == [[10, 11, 12, 1, 13, 1]]


def test_a_context_without_room_for_text_is_refused():
    with pytest.raises(ValueError, match="no room"):
        Packer(Marks((2,), (3,), (), 0, ()), 2)


def test_marks_are_read_off_the_tokenizer(tmp_path):
    bert = marks_of(load_tokenizer(tiny_bert(tmp_path / "bert")))
    assert (bert.prefix, bert.suffix, bert.separator, bert.pad_id) == ((2,), (3,), (3,), 0)
    assert bert.special_ids == (0, 2, 3)
    llama = marks_of(load_tokenizer(tiny_llama(tmp_path / "llama")))
    assert (llama.prefix, llama.suffix, llama.separator, llama.special_ids) == ((1,), (), (2,), (1, 2))


def test_a_model_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"config\.model: its tokenizer cannot be loaded"):
        load_tokenizer(tmp_path)


ROWS = ["first line\nsecond, longer line\nthird\n", "", "ein Übermaß an Umlauten: äöü " * 3, "last"]


def packed_with_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def every_format(folder, rows=ROWS):
    """The same documents as JSON lines, packed in each way, and as parquet of two row groups."""
    lines = "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in rows).encode()
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines[:40]) + gzip.compress(lines[40:]))
    (folder / "c.jsonl.zst").write_bytes(packed_with_zstd(lines[:40]) + packed_with_zstd(lines[40:]))
    table = pa.table({"id": range(len(rows)), "text": [text or None for text in rows], "title": ["x"] * len(rows)})
    pq.write_table(table, folder / "d.parquet", row_group_size=3)
    return folder


def test_every_format_gives_the_same_documents_from_any_place_on(tmp_path):
    for file in text_files(every_format(tmp_path / "texts"), mix_seed=None):
        found = list(read_pieces(file, "text"))
        assert [piece.text for piece in found] == ROWS
        assert all(piece.ends for piece in found)
        assert sum(piece.read_bytes for piece in found) == pytest.approx(file.size, abs=20)
        for number, piece in enumerate(found):
            assert [left.text for left in read_pieces(file, "text", piece.place)] == ROWS[number + 1 :]


def test_a_long_text_is_cut_the_same_way_from_any_place_on(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "PIECE_BYTES", 10)
    for name, text in [("lines", ROWS[0]), ("letters", "äöü€" * 20), ("broken", "a" * 30)]:
        content = text.encode() + (b"\xe2\x82" if name == "broken" else b"")
        (tmp_path / f"{name}.txt").write_bytes(content)
        (tmp_path / f"{name}.txt.gz").write_bytes(gzip.compress(content))
        for suffix in (".txt", ".txt.gz"):
            path = tmp_path / (name + suffix)
            file = TextFile(path.name, path.stat().st_size, str(path))
            found = list(read_pieces(file, "text"))
            assert "".join(piece.text for piece in found) == content.decode(errors="replace")
            assert [piece.ends for piece in found] == [False] * (len(found) - 1) + [True]
            for number, piece in enumerate(found):
                left = list(read_pieces(file, "text", piece.place))
                assert [each.text for each in left] == [each.text for each in found[number + 1 :]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.jsonl", r"the line at byte 0 of a\.jsonl has no text in 'body': its columns are id, text"),
        (
            "d.parquet",
            r"d\.parquet has no text in 'body': its columns of text are text, title, the others id \(int64\)",
        ),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path, name, said):
    file = next(file for file in text_files(every_format(tmp_path / "texts"), mix_seed=None) if file.name == name)
    with pytest.raises(InvalidInputError, match=rf"config\.text_column: {said}"):
        list(read_pieces(file, "body"))


def test_a_parquet_file_that_was_cut_is_named(tmp_path):
    path = every_format(tmp_path / "texts") / "d.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInputError, match=r"config\.dataset: d\.parquet cannot be read"):
        list(read_pieces(TextFile("d.parquet", path.stat().st_size, str(path)), "text"))


def test_card_and_licence_are_not_read_as_text(tmp_path):
    for name in ("README.md", "LICENSE.txt", "a.txt"):
        (tmp_path / name).write_text("x")
    assert [file.name for file in text_files(tmp_path, mix_seed=None)] == ["a.txt"]


@pytest.mark.parametrize("processes", [1, 2])
def test_ids_are_those_of_the_tokenizer_in_order_without_cutting(tmp_path, processes):
    tokenizer = load_tokenizer(tiny_bert(tmp_path / "bert"))
    tokenizer("a", truncation=True, max_length=8, padding="max_length")  # leaves its marks in the tokenizer behind it
    texts = [" ".join(["cat", "dog", "unheard"] * number) for number in range(40)]
    with make_encoder(tokenizer, processes) as encoder:
        found = list(encoder.encode(Piece(text, True, number) for number, text in enumerate(texts)))
    assert [piece.place for piece, _ in found] == list(range(40))
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert [ids.tolist() for _, ids in found] == expected


def test_mixing_depends_on_the_seed_alone(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("x")
    orders = [text_files(tmp_path, mix_seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0], key=lambda file: file.name) == text_files(tmp_path, mix_seed=None)


def test_the_prose_of_python_is_real_and_the_same_each_time(tmp_path):
    source = PythonDocsSource()
    files = source.files()
    assert len(files) > 200
    assert files == PythonDocsSource().files()
    argparse = next(file for file in files if file.path == "library/argparse.txt")
    source.fetch(argparse, tmp_path / "part", lambda _: None)
    assert "Command-line parsing library" in (tmp_path / "part").read_text()


def test_contexts_of_like_length_are_batched_and_padded(tmp_path):
    store = store_tokens(tmp_path / "s", [[5] * 3, [6] * 9, [7] * 4, [8] * 10], pad=0, special=[])
    batches = list(store.batches(20))
    assert [sorted(batch.tolist()) for batch in batches] == [[1, 3], [0, 2]]
    ids, places = store.padded(batches[1])
    assert ids.tolist() == [[7, 7, 7, 7], [5, 5, 5, 0]]
    assert np.array_equal(places < 0, ids == 0)
