"""The work of `dataset.tokenize`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.checkpoints import Checkpoint
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.dataset_tokenize.config import DatasetTokenizeConfig
from headway.ml.growing import DamagedError
from headway.ml.models.tokenizer import load_tokenizer, longest_context
from headway.ml.text.documents import TextFile, text_files
from headway.ml.text.encoding import Encoder, make_encoder
from headway.ml.text.tokenizing import Contexts, Tokenizing, TokenizingState

STATE_FILE = "state.json"
#: What the artifact says of itself, out of its manifest.
TOLD = {"contexts", "tokens", "documents", "context_length", "packing", "samples", "statistics"}
_log = logging.getLogger(__name__)


def run(config: DatasetTokenizeConfig, job: JobContext) -> None:
    """Load the tokenizer, pack all text that is left (or as much as is asked for), write the manifest."""
    with job.phase("loading"):
        job.say("Loading the tokenizer")
        tokenizer = load_tokenizer(job.input("model"))
        _check_length(config.context_length, tokenizer)
        seed = config.seed if config.mix_files else None
        files = text_files(job.input("dataset"), mix_seed=seed, split=config.split)
        size = _size(config, files)
        job.expect("tokenizing", unit=size[0], total=size[1])
        tokenizing = _tokenizing(config, job, tokenizer, files)
    with job.phase("tokenizing"), make_encoder(tokenizer, config.processes or job.threads) as encoder:
        job.say(f"Tokenizing {len(files)} files into contexts of {config.context_length} tokens")
        _tokenize(config, job, tokenizing, encoder, size)
    with job.phase("saving"):
        if not tokenizing.contexts:
            raise InvalidInputError(FieldProblem("config.dataset", "its files hold no text"))
        manifest = tokenizing.finish()
        meta = manifest.model_dump(include=TOLD)
        job.artifact("tokens", meta=meta | {"name": job.input_meta("dataset").get("name", "text")})


def _check_length(length: int, tokenizer: Any) -> None:
    longest = longest_context(tokenizer)
    if longest and length > longest:
        problem = f"the model takes at most {longest} tokens: choose {longest} or less"
        raise InvalidInputError(FieldProblem("config.context_length", problem))


def _size(config: DatasetTokenizeConfig, files: Sequence[TextFile]) -> tuple[str, int]:
    """What is counted, and how much of it there is."""
    if config.max_tokens is not None:
        return "token", config.max_tokens
    return "byte", sum(file.size for file in files)


def _tokenizing(
    config: DatasetTokenizeConfig, job: JobContext, tokenizer: Any, files: Sequence[TextFile]
) -> Tokenizing:
    """The tokenizing where the checkpoint stands; from the first file if there is none, or its files are damaged."""
    make = partial(
        Tokenizing,
        job.output("tokens"),
        files,
        tokenizer,
        contexts=Contexts(config.context_length, config.packing, config.max_tokens),
        text_column=config.text_column,
    )
    if job.resume:
        try:
            return _taken_up(job, job.resume, make)
        except DamagedError as error:
            _log.warning("%s: everything is tokenized again", error)
    return make()


def _taken_up(job: JobContext, checkpoint: Checkpoint, make: Callable[..., Tokenizing]) -> Tokenizing:
    state = TokenizingState.model_validate_json((checkpoint.path / STATE_FILE).read_bytes())
    job.say(f"Going on after document {state.tally.documents}; checking what was written before")
    with job.count(unit="byte", total=state.writer.bytes) as counter:

        def on_bytes(count: int) -> None:
            counter.advance(count)
            job.stop_if_asked()

        return make(state=state, on_bytes=on_bytes)


def _tokenize(
    config: DatasetTokenizeConfig, job: JobContext, tokenizing: Tokenizing, encoder: Encoder, size: tuple[str, int]
) -> None:
    keeper = Keeper(job, config.checkpoint_every_seconds)

    def save(folder: Path) -> None:
        (folder / STATE_FILE).write_text(tokenizing.state().model_dump_json())

    def done() -> int:
        return tokenizing.read_bytes if config.max_tokens is None else tokenizing.tokens

    with job.count(unit=size[0], total=size[1], start=done()) as counter:
        for _ in tokenizing.run(encoder):
            counter.current = done()
            keeper.heed(tokenizing.pieces, save)
        counter.current = done()
