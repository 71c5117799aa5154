"""The work of `preferences.make`."""

# pyright: standard
# tokenizers have no types.

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.preferences_make.config import PreferencesMakeConfig
from headway.ml import rng
from headway.ml.growing import DamagedError, GrowingFile, Mark
from headway.ml.models.causal import continue_texts, load_causal_model, most_positions, prefix_ids
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.preferences.pairs import PAIRS_FILE, write_pair
from headway.ml.text.documents import read_pieces, text_files

STATE_FILE = "state.json"
SHOWN_CHARACTERS = 500
_log = logging.getLogger(__name__)


class Window(NamedTuple):
    """A place in a text, as tokens."""

    prompt: list[int]
    real: list[int]


def run(config: PreferencesMakeConfig, job: JobContext) -> None:
    """Take windows out of the text, let the model continue each prompt, write both; from the checkpoint if any."""
    torch.set_num_threads(job.threads)
    with job.phase("loading"):
        job.say("Loading the model")
        model, tokenizer = load_causal_model(job.input("model"), job.device), load_tokenizer(job.input("model"))
        _check_length(config, model, tokenizer)
        windows = _windows(config, job, tokenizer)
        job.expect("sampling", unit="pair", total=len(windows))
        making = _Making(config, job, model, tokenizer)
    with job.phase("sampling"):
        making.run(windows)
    with job.phase("saving"):
        job.artifact("preferences", meta=making.finish())


def _check_length(config: PreferencesMakeConfig, model: PreTrainedModel, tokenizer: Any) -> None:
    asked = len(prefix_ids(tokenizer)) + config.prompt_tokens + config.continuation_tokens
    most = most_positions(model)
    if most and asked > most:
        problem = f"prompt and continuation take {asked} tokens, the model at most {most}: shorten either"
        raise InvalidInputError(FieldProblem("config.prompt_tokens", problem))


def _windows(config: PreferencesMakeConfig, job: JobContext, tokenizer: Any) -> list[Window]:
    windows: list[Window] = []
    with job.count(unit="pair", total=config.pairs) as counter:
        for window in islice(_all_windows(config, job, tokenizer), config.pairs):
            windows.append(window)
            counter.current = len(windows)
    if len(windows) < 2:
        length = config.prompt_tokens + config.continuation_tokens
        problem = f"fewer than two documents in it are {length} tokens long: shorten prompt and continuation"
        raise InvalidInputError(FieldProblem("config.dataset", problem))
    return windows


def _all_windows(config: PreferencesMakeConfig, job: JobContext, tokenizer: Any) -> Iterator[Window]:
    """Windows side by side from the beginning of each document (or of a large one's pieces)."""
    length = config.prompt_tokens + config.continuation_tokens
    for file in text_files(job.input("dataset"), mix_seed=config.seed):
        for piece in read_pieces(file, config.text_column):
            if job.should_stop() == "cancel":
                job.stop()
            ids = tokenizer(piece.text, add_special_tokens=False, verbose=False)["input_ids"]
            for first in range(0, len(ids) - length + 1, length)[: config.pairs_per_document]:
                split = first + config.prompt_tokens
                yield Window(ids[first:split], ids[split : first + length])


class _Making:
    """The file of pairs, as far as it is written."""

    def __init__(self, config: PreferencesMakeConfig, job: JobContext, model: PreTrainedModel, tokenizer: Any) -> None:
        self._config, self._job, self._model, self._tokenizer = config, job, model, tokenizer
        self._keeper = Keeper(job, config.checkpoint_every_seconds)
        self._done = self._written = 0
        self._samples: list[dict[str, str]] = []
        self._file = self._taken_up() or GrowingFile(job.output("preferences") / PAIRS_FILE)

    def _taken_up(self) -> GrowingFile | None:
        if not self._job.resume:
            return None
        state = json.loads((self._job.resume.path / STATE_FILE).read_text())
        try:
            file = GrowingFile(self._job.output("preferences") / PAIRS_FILE, Mark(**state["file"]))
        except DamagedError as error:
            _log.warning("%s: everything is sampled again", error)
            return None
        self._done, self._written, self._samples = state["done"], state["written"], state["samples"]
        self._job.say(f"Going on after pair {self._done}")
        return file

    def run(self, windows: Sequence[Window]) -> None:
        """Batches of windows; each is seeded by its place, so that a run taken up samples what one whole would have."""
        size = self._config.batch_size
        with self._job.count(unit="pair", total=len(windows), start=self._done) as counter:
            for first in range(self._done, len(windows), size):
                self._sample(first, windows[first : first + size])
                counter.current = self._done
                self._keeper.heed(self._done, self._save)

    def _sample(self, first: int, windows: Sequence[Window]) -> None:
        rng.seed_all((self._config.seed * 1_000_003 + first) % 2**32)
        sampled = continue_texts(
            self._model,
            self._tokenizer,
            [window.prompt for window in windows],
            self._config.continuation_tokens,
            temperature=self._config.temperature,
        )
        for window, own in zip(windows, sampled, strict=True):
            self._write(window, own)
        self._done = first + len(windows)

    def _write(self, window: Window, own: list[int]) -> None:
        """Both sides go through the same tokens and back, so that nothing but the words tells them apart."""
        prompt = self._text(window.prompt)
        whole = [self._text(window.prompt + tokens) for tokens in (window.real, own)]
        real, sampled = (text.removeprefix(prompt) for text in whole)
        if not prompt or not all(text.startswith(prompt) for text in whole) or not real or not sampled:
            return
        if real == sampled:
            return
        self._file.write(write_pair(prompt, real, sampled))
        self._written += 1
        if len(self._samples) < 3:
            told = {"prompt": prompt, "chosen": real, "rejected": sampled}
            self._samples.append({name: text[:SHOWN_CHARACTERS] for name, text in told.items()})

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _save(self, folder: Path) -> None:
        state = {"done": self._done, "written": self._written, "samples": self._samples}
        (folder / STATE_FILE).write_text(json.dumps(state | {"file": self._file.mark().model_dump()}))

    def finish(self) -> dict[str, object]:
        """Close the file; what a reader wants to know first."""
        self._file.close()
        if not self._written:
            raise InvalidInputError(FieldProblem("config.model", "its samples are all the same as the text"))
        name = self._job.input_meta("dataset").get("name") or "text"
        return {
            "name": f"Preferences from {name}",
            "format": "prompt, chosen, rejected",
            "pairs": self._written,
            "left_out": self._done - self._written,
            "samples": self._samples,
        }
