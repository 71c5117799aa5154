"""Text becomes contexts without a token lost, and marks stand where the model wants them."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidInputError
from headway.ml.models.load import load_tokenizer
from headway.ml.text import documents
from headway.ml.text.documents import read_pieces, text_files
from headway.ml.text.packing import Marks, Packer, marks_of
from headway.ml.text.python_docs import PythonDocsSource
from tests.tiny_models import store_tokens, tiny_bert, tiny_llama

PAD, SEPARATOR, START, END = 0, 1, 2, 3
pieces = st.lists(st.tuples(st.lists(st.integers(10, 99), max_size=30), st.booleans()), max_size=20)


def pack(pieces, marks, length, stops=()):
    """Contexts of the pieces, by a new packer after each of the pieces `stops` counts."""
    packer, contexts = Packer(marks, length), []
    for number, (tokens, ends) in enumerate(pieces):
        contexts += packer.add(tokens, ends)
        if number in stops:
            packer = Packer(marks, length, packer.rest)
    return contexts + packer.last()


@given(pieces, st.integers(1, 20), st.sets(st.integers(0, 20)))
def test_packing_gone_on_with_anywhere_gives_the_same_contexts(pieces, length, stops):
    marks = Marks((), (), (SEPARATOR,), PAD, (PAD, SEPARATOR))
    assert pack(pieces, marks, length, stops) == pack(pieces, marks, length)


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


def test_text_and_json_lines_give_the_same_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "PIECE_CHARACTERS", 10)
    text = "first line\nsecond, longer line\nthird\n"
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": text}) + "\n")
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write(json.dumps({"text": text}) + "\n")
    for path in text_files(tmp_path, mix_seed=None):
        found = list(read_pieces(path, "text"))
        assert "".join(piece.text for piece in found) == text
        assert [piece.ends for piece in found] == [False] * (len(found) - 1) + [True]


def test_a_line_without_the_text_column_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"body": "y"}\n')
    with pytest.raises(InvalidInputError, match=r"config\.text_column: line 2 of a\.jsonl has no text in 'text'"):
        list(read_pieces(tmp_path / "a.jsonl", "text"))


def test_mixing_depends_on_the_seed_alone(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("x")
    orders = [text_files(tmp_path, mix_seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == text_files(tmp_path, mix_seed=None)


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
