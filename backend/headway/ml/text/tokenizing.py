"""Turns files of text into a token store, and can be gone on with after any piece of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headway.ml.text.documents import Piece, read_pieces
from headway.ml.text.packing import Packer, marks_of
from headway.ml.text.token_store import TokenManifest, TokenWriter, TokenWriterState

SAMPLE_TOKENS = 64


class TokenizingState(BaseModel):
    """Where the tokenizing stands: the file, the pieces done (of it, and of all), what waits for the next context."""

    file: int
    piece: int
    pieces: int
    documents: int
    read_bytes: int
    rest: list[int]
    sample: list[int]
    writer: TokenWriterState


class Tokenizing:
    """One pass over `files`: iterate `run`, then call `finish`. `max_tokens` ends it early.

    With a `state`, the pass that left it is gone on with: what was written is checked (`on_bytes` counts) and cut back
    to it. Raises DamagedError when it is not there as it was written, ValueError when `context_length` is too short.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[Path],
        tokenizer: Any,
        *,
        context_length: int,
        max_tokens: int | None,
        text_column: str,
        state: TokenizingState | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._files, self._tokenizer, self._text_column = files, tokenizer, text_column
        self._context_length, self._max_tokens = context_length, max_tokens
        self._marks = marks_of(tokenizer)
        self._file, self._piece = (state.file, state.piece) if state else (0, 0)
        self.pieces = state.pieces if state else 0
        self.read_bytes = state.read_bytes if state else 0
        self._documents = state.documents if state else 0
        self._sample = state.sample if state else []
        self._packer = Packer(self._marks, context_length, state.rest if state else ())
        self._writer = TokenWriter(folder, state.writer if state else None, on_bytes)

    @property
    def contexts(self) -> int:
        """Contexts written."""
        return self._writer.contexts

    @property
    def tokens(self) -> int:
        """Tokens written."""
        return self._writer.tokens

    def run(self) -> Iterator[None]:
        """Go over the pieces that are left; yields after each, also after those passed over to get there."""
        for number in range(self._file, len(self._files)):
            if number > self._file:
                self._file, self._piece = number, 0
            for place, piece in enumerate(read_pieces(self._files[number], self._text_column)):
                if place >= self._piece and not self._take(piece):
                    return
                yield
        self._write(self._packer.last())

    def _take(self, piece: Piece) -> bool:
        """Tokenize one piece; False when the budget is used up."""
        encoded = self._tokenizer(piece.text, add_special_tokens=False, verbose=False)
        self._piece += 1
        self.pieces += 1
        self.read_bytes += piece.read_bytes
        self._documents += piece.ends
        return self._write(self._packer.add(encoded["input_ids"], piece.ends))

    def _write(self, contexts: list[list[int]]) -> bool:
        for context in contexts:
            if self._max_tokens is not None and self._writer.tokens + len(context) > self._max_tokens:
                return False
            self._writer.append(context)
            self._sample = self._sample or context[:SAMPLE_TOKENS]
        return True

    def state(self) -> TokenizingState:
        """All that another process needs to go on after the last piece."""
        return TokenizingState(
            file=self._file,
            piece=self._piece,
            pieces=self.pieces,
            documents=self._documents,
            read_bytes=self.read_bytes,
            rest=self._packer.rest,
            sample=self._sample,
            writer=self._writer.state(),
        )

    def finish(self) -> TokenManifest:
        """Close the files and write the manifest, which makes the store whole."""
        manifest = TokenManifest(
            contexts=self.contexts,
            tokens=self.tokens,
            documents=self._documents,
            context_length=self._context_length,
            vocab_size=len(self._tokenizer),
            pad_id=self._marks.pad_id,
            special_ids=list(self._marks.special_ids),
            tokenizer=type(self._tokenizer).__name__,
            sample=self._tokenizer.decode(self._sample),
        )
        self._writer.finish(manifest)
        return manifest
