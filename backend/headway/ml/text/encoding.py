"""Tokenizes pieces of text in order, here or in processes beside this one; both give the same ids."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headway.ml.text.readers import Piece
from headway.parent_death import PARENT_PID, end_with_parent

Ids = NDArray[np.uint32]
#: A batch is handed over when it holds this much; small enough to heed a pause soon.
BATCH_CHARACTERS = 1 << 18
BATCH_PIECES = 256
BATCHES_AHEAD = 2


class Encoder(Protocol):
    """Makes ids of the pieces, in their order; use as a context."""

    def encode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Ids]]:
        """Each piece with its ids, without special marks around them."""
        ...

    def __enter__(self) -> Encoder: ...

    def __exit__(self, *_: object) -> None: ...


def make_encoder(tokenizer: Any, processes: int) -> Encoder:
    """An encoder of a transformers tokenizer. One that is written in Python runs here alone, whatever `processes`."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        return _Here(lambda texts: [_of_python(tokenizer, text) for text in texts])
    if processes == 1:
        return _Here(_FastTokenizer(backend.to_str()))
    return _Beside(backend.to_str(), processes)


class _FastTokenizer:
    """A tokenizer of the `tokenizers` library, without the cutting and padding that its file may ask for."""

    def __init__(self, definition: str) -> None:
        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __call__(self, texts: list[str]) -> list[Ids]:
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(each.ids, dtype=np.uint32) for each in encoded]


class _Here:
    def __init__(self, ids_of: Any) -> None:
        self._ids_of = ids_of

    def encode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Ids]]:
        for batch in _batches(pieces):
            yield from zip(batch, self._ids_of([piece.text for piece in batch]), strict=True)

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Beside:
    """A pool of processes that end with this one; each has `BATCHES_AHEAD` batches to do at most."""

    def __init__(self, definition: str, processes: int) -> None:
        self._ahead = processes * BATCHES_AHEAD
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(definition, os.getpid())
        )

    def encode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Ids]]:
        under_way: deque[tuple[list[Piece], Future[list[Ids]]]] = deque()
        for batch in _batches(pieces):
            under_way.append((batch, self._pool.submit(_encode, [piece.text for piece in batch])))
            if len(under_way) == self._ahead:
                yield from _done(*under_way.popleft())
        while under_way:
            yield from _done(*under_way.popleft())

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _done(batch: list[Piece], ids: Future[list[Ids]]) -> Iterator[tuple[Piece, Ids]]:
    yield from zip(batch, ids.result(), strict=True)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    characters = 0
    for piece in pieces:
        batch.append(piece)
        characters += len(piece.text)
        if characters >= BATCH_CHARACTERS or len(batch) == BATCH_PIECES:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _of_python(tokenizer: Any, text: str) -> Ids:
    return np.array(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=np.uint32)


def _begin(definition: str, parent: int) -> None:
    """Make this process ready, and let it end with the one that started it."""
    global _encode_texts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ[PARENT_PID] = str(parent)
    end_with_parent(signal.SIGKILL)
    _encode_texts = _FastTokenizer(definition)


def _encode(texts: list[str]) -> list[Ids]:
    return _encode_texts(texts)


_encode_texts: _FastTokenizer
