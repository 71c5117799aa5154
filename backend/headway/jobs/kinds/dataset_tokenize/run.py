"""The work of `dataset.tokenize`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.kinds.dataset_tokenize.config import DatasetTokenizeConfig
from headway.ml.models.load import load_tokenizer, longest_context
from headway.ml.text.documents import read_pieces, text_files
from headway.ml.text.packing import Marks, marks_of, pack
from headway.ml.text.token_store import TokenManifest, TokenWriter

SAMPLE_TOKENS = 64


def run(config: DatasetTokenizeConfig, job: JobContext) -> None:
    """Load the tokenizer, pack all text (or as much as is asked for), write the manifest."""
    with job.phase("loading"):
        job.say("Loading the tokenizer")
        tokenizer = load_tokenizer(job.input("model"))
        marks = marks_of(tokenizer)
        _check_length(config.context_length, tokenizer)
        files = text_files(job.input("dataset"), mix_seed=config.seed if config.mix_files else None)
    with job.phase("tokenizing"):
        job.say(f"Tokenizing {len(files)} files into contexts of {config.context_length} tokens")
        reading = _Reading(config, job, tokenizer, files)
        writer = TokenWriter(job.output("tokens"))
        sample = _write(config, job, reading, marks, writer)
    with job.phase("saving"):
        manifest = _manifest(config, tokenizer, marks, writer, reading, tokenizer.decode(sample))
        writer.finish(manifest)
        if not writer.contexts:
            raise InvalidInputError(FieldProblem("config.dataset", "its files hold no text"))
        meta = manifest.model_dump(include={"contexts", "tokens", "documents", "context_length", "sample"})
        job.artifact("tokens", meta=meta | {"name": job.input_meta("dataset").get("name", "text")})


class _Reading:
    """Reads the files as token lists, counting bytes as they are used."""

    def __init__(self, config: DatasetTokenizeConfig, job: JobContext, tokenizer: Any, files: list[Path]) -> None:
        self.documents = 0
        self.total_bytes = sum(path.stat().st_size for path in files)
        self.done_bytes = 0
        self._config, self._job, self._tokenizer, self._files = config, job, tokenizer, files

    def pieces(self) -> Iterator[tuple[list[int], bool]]:
        """Tokens, and whether their document ends with them."""
        for path in self._files:
            for piece in read_pieces(path, self._config.text_column):
                self._job.stop_if_asked()
                encoded = self._tokenizer(piece.text, add_special_tokens=False, verbose=False)
                self.done_bytes += piece.read_bytes
                self.documents += piece.ends
                yield encoded["input_ids"], piece.ends


def _write(
    config: DatasetTokenizeConfig, job: JobContext, reading: _Reading, marks: Marks, writer: TokenWriter
) -> list[int]:
    """Write contexts until the text or the budget ends; answers the first tokens, for a look."""
    sample: list[int] = []
    by_tokens = config.max_tokens is not None
    unit, total = ("token", config.max_tokens) if by_tokens else ("byte", reading.total_bytes)
    with job.count(unit=unit, total=total) as counter:
        for context in pack(reading.pieces(), marks, config.context_length):
            if by_tokens and writer.tokens + len(context) > (config.max_tokens or 0):
                break
            writer.append(context)
            sample = sample or context[:SAMPLE_TOKENS]
            counter.current = writer.tokens if by_tokens else reading.done_bytes
    return sample


def _manifest(
    config: DatasetTokenizeConfig, tokenizer: Any, marks: Marks, writer: TokenWriter, reading: _Reading, sample: str
) -> TokenManifest:
    return TokenManifest(
        contexts=writer.contexts,
        tokens=writer.tokens,
        documents=reading.documents,
        context_length=config.context_length,
        vocab_size=len(tokenizer),
        pad_id=marks.pad_id,
        special_ids=list(marks.special_ids),
        tokenizer=type(tokenizer).__name__,
        sample=sample,
    )


def _check_length(length: int, tokenizer: Any) -> None:
    longest = longest_context(tokenizer)
    if longest and length > longest:
        problem = f"the model takes at most {longest} tokens: choose {longest} or less"
        raise InvalidInputError(FieldProblem("config.context_length", problem))
