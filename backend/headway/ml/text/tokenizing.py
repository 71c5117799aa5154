"""Turns files of text into a token store, and can be gone on with after any piece of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headway.ml.text.documents import TextFile, read_pieces
from headway.ml.text.encoding import Encoder, Ids
from headway.ml.text.packing import PACKERS, marks_of
from headway.ml.text.readers import Piece
from headway.ml.text.statistics import LengthTally, samples_of, statistics_of
from headway.ml.text.token_store import Packing, TokenManifest, TokenStore, TokenWriter, TokenWriterState


class TokenizingState(BaseModel):
    """Where the tokenizing stands: the file and the place in it, the pieces done, what waits for the next context."""

    file: int
    place: int
    pieces: int
    read_bytes: int
    rest: list[int]
    tally: LengthTally
    writer: TokenWriterState


@dataclass(frozen=True, slots=True)
class Contexts:
    """How contexts are made: of how many tokens, how documents share them, and at most how many tokens in all."""

    length: int
    packing: Packing = "packed"
    max_tokens: int | None = None


class Tokenizing:
    """One pass over `files`: iterate `run`, then call `finish`. `max_tokens` ends it early.

    With a `state`, the pass that left it is gone on with: what was written is checked (`on_bytes` counts) and cut back
    to it. Raises DamagedError when it is not there as it was written, ValueError when the contexts are too short.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[TextFile],
        tokenizer: Any,
        *,
        contexts: Contexts,
        text_column: str,
        state: TokenizingState | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._folder, self._files, self._tokenizer, self._text_column = folder, files, tokenizer, text_column
        self._contexts = contexts
        self._marks = marks_of(tokenizer)
        self._file, self._place = (state.file, state.place) if state else (0, 0)
        self.pieces = state.pieces if state else 0
        self.read_bytes = state.read_bytes if state else 0
        self._tally = state.tally if state else LengthTally()
        self._packer = PACKERS[contexts.packing](self._marks, contexts.length, state.rest if state else ())
        self._writer = TokenWriter(folder, state.writer if state else None, on_bytes)

    @property
    def contexts(self) -> int:
        """Contexts written."""
        return self._writer.contexts

    @property
    def tokens(self) -> int:
        """Tokens written."""
        return self._writer.tokens

    @property
    def documents(self) -> int:
        """Documents done."""
        return self._tally.documents

    def run(self, encoder: Encoder) -> Iterator[None]:
        """Go over the pieces that are left, with ids by `encoder`; yields after each."""
        for piece, ids in encoder.encode(self._left()):
            if not self._take(piece, ids):
                return
            yield
        self._write(self._packer.last())

    def _left(self) -> Iterator[Piece]:
        """The pieces that are left, of all files in one row: whoever tokenizes them can read ahead."""
        start = self._place
        for number in range(self._file, len(self._files)):
            for piece in read_pieces(self._files[number], self._text_column, start):
                yield piece._replace(file=number)
            start = 0

    def _take(self, piece: Piece, ids: Ids) -> bool:
        """Pack one piece; False when the budget is used up."""
        self._file, self._place = piece.file, piece.place
        self.pieces += 1
        self.read_bytes += piece.read_bytes
        self._tally.add(len(ids), len(piece.text), piece.ends)
        return self._write(self._packer.add(ids.tolist(), piece.ends))

    def _write(self, contexts: list[list[int]]) -> bool:
        for context in contexts:
            most = self._contexts.max_tokens
            if most is not None and self._writer.tokens + len(context) > most:
                return False
            self._writer.append(context)
        return True

    def state(self) -> TokenizingState:
        """All that another process needs to go on after the last piece."""
        return TokenizingState(
            file=self._file,
            place=self._place,
            pieces=self.pieces,
            read_bytes=self.read_bytes,
            rest=self._packer.rest,
            tally=self._tally,
            writer=self._writer.state(),
        )

    def finish(self) -> TokenManifest:
        """Close the files, count what they hold, and write the manifest, which makes the store whole."""
        manifest = TokenManifest(
            contexts=self.contexts,
            tokens=self.tokens,
            documents=self.documents,
            context_length=self._contexts.length,
            vocab_size=len(self._tokenizer),
            pad_id=self._marks.pad_id,
            special_ids=list(self._marks.special_ids),
            tokenizer=type(self._tokenizer).__name__,
            packing=self._contexts.packing,
        )
        self._writer.finish(manifest)
        store = TokenStore(self._folder)
        told = {
            "samples": samples_of(store, self._tokenizer),
            "statistics": statistics_of(store, self._tokenizer, self._tally),
        }
        return self._writer.tell(manifest.model_copy(update=told))
