"""What it costs a language model to go on with an SAE's reconstruction in place of its own activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.ml.activations.places import Place
from headway.ml.activations.splice import Change, spliced
from headway.ml.features.saes import PlacedSae
from headway.ml.text.token_store import TokenStore

CLEAN = "clean"
#: Kinds of change at a place, beside an SAE's own.
ABLATIONS = ("zero", "mean")
FIGURES = (
    *("ce_clean", "ce_sae", "ce_zero", "ce_mean", "kl_sae", "kl_zero", "kl_mean"),
    *("ce_recovered", "ce_recovered_from_mean", "kl_recovered", "kl_recovered_from_mean"),
)


Track = Callable[[Sequence[str]], Iterable[str]]


class Splice(NamedTuple):
    """A change under way from one place to another."""

    source: Place
    target: Place
    change: Change


class Predictions:
    """Cross entropy and divergence over the next tokens of contexts, without and with changes inside the model.

    Changes are made at text tokens alone, since SAEs are trained on those, and text tokens that follow a text token are
    what is predicted. `sums` holds for each run of the model, by name, its summed cross entropy and its summed
    KL(clean ‖ run), both in nats; `count` is the number of tokens predicted.
    """

    def __init__(self, model: Any, tokens: TokenStore, device: str) -> None:
        self.count = 0
        self.sums: dict[str, list[float]] = {}
        self._model, self._tokens, self._device = model, tokens, device
        self._special = np.array(tokens.manifest.special_ids, dtype=np.int64)

    @torch.inference_mode()
    def add(self, contexts: NDArray[np.int64], splices: Mapping[str, Splice], track: Track) -> None:
        """Run the contexts without and with each splice; `track` watches the runs' names go by."""
        ids, places = self._tokens.padded(contexts)
        real = places >= 0
        text = torch.from_numpy(real & ~np.isin(ids, self._special)).to(self._device)
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(real.astype(np.int64))}
        inputs = {name: tensor.to(self._device) for name, tensor in inputs.items()}
        predicted = text[:, :-1] & text[:, 1:]
        labels = inputs["input_ids"][:, 1:][predicted]
        clean = torch.empty(0)
        for name in track([CLEAN, *splices]):
            splice = splices.get(name)
            run = self._log_probabilities(inputs, predicted, splice and _only(text, splice))
            clean = run if splice is None else clean
            self._note(name, run, clean, labels)
        self.count += len(labels)

    def _log_probabilities(self, inputs: dict[str, Tensor], predicted: Tensor, splice: Splice | None) -> Tensor:
        """Of every token at the positions predicted from, [n, vocab]."""
        with spliced(self._model, *splice) if splice else nullcontext():
            logits = self._model(**inputs, use_cache=False).logits
        return logits[:, :-1][predicted].float().log_softmax(-1)

    def _note(self, name: str, run: Tensor, clean: Tensor, labels: Tensor) -> None:
        entropy = -run.gather(1, labels[:, None]).double().sum().item()
        # in one pass over the vocabulary at a time: [n, vocab] is large
        divergence = sum(
            (ours.exp() * (ours - theirs)).double().sum().item()
            for ours, theirs in zip(clean.split(128), run.split(128), strict=True)
        )
        sums = self.sums.setdefault(name, [0.0, 0.0])
        sums[0] += entropy
        sums[1] += divergence

    def figures(self, sae: PlacedSae) -> dict[str, float]:
        """One SAE's FIGURES: cross entropies and divergences, beside those with its place set to zero and to its mean.

        `ce_recovered` is (ce_zero - ce_sae) / (ce_zero - ce_clean): 1 where the reconstruction costs nothing, 0 where
        it is no better than zeros (SAEBench, Karvonen et al. 2025, "ce_loss_score"; the splice and its loss as in Gao
        et al. 2024, "Scaling and evaluating sparse autoencoders", section 4.1); `kl_recovered` is 1 - kl_sae / kl_zero.
        `..._from_mean` measure from the mean in place of zeros: what is constant is no merit of an SAE then.
        """
        clean, own, own_divergence = self._means(CLEAN)[0], *self._means(sae.name)
        zero, zero_divergence = self._means(ablation_name(sae.target, "zero"))
        mean, mean_divergence = self._means(ablation_name(sae.target, "mean"))
        values = (
            *(clean, own, zero, mean, own_divergence, zero_divergence, mean_divergence),
            (zero - own) / _apart(zero - clean),
            (mean - own) / _apart(mean - clean),
            1 - own_divergence / _apart(zero_divergence),
            1 - own_divergence / _apart(mean_divergence),
        )
        return dict(zip(FIGURES, values, strict=True))

    def _means(self, name: str) -> tuple[float, float]:
        """Mean cross entropy and mean KL(clean ‖ run) of a run, nats a token."""
        entropy, divergence = self.sums[name]
        return entropy / max(1, self.count), divergence / max(1, self.count)


def sae_splice(sae: PlacedSae) -> Splice:
    """The SAE's reconstruction in place of its target: a transcoder reads its source for it."""

    def change(source: Tensor, _target: Tensor) -> Tensor:
        return sae.sae.reconstruct(source.flatten(0, 1).float()).view(*source.shape[:-1], -1).to(source.dtype)

    return Splice(sae.source, sae.target, change)


def ablations(target: Place, mean: Tensor) -> dict[str, Splice]:
    """Zeros at a place, and the mean of its rows [d], by name."""
    changes: dict[str, Change] = {
        "zero": lambda _source, value: torch.zeros_like(value),
        "mean": lambda _source, value: mean.to(value).expand_as(value),
    }
    return {ablation_name(target, kind): Splice(target, target, changes[kind]) for kind in ABLATIONS}


def ablation_name(target: Place, kind: str) -> str:
    """What a run with an ablation is called among those of SAEs, whose names hold no colon."""
    return f"{kind}:{target.name}"


def _only(text: Tensor, splice: Splice) -> Splice:
    """The splice at text tokens [batch, position] alone."""
    change = splice.change
    return splice._replace(change=lambda source, value: torch.where(text[:, :, None], change(source, value), value))


def _apart(difference: float) -> float:
    """Guards a quotient where an ablation changes nothing."""
    return difference if abs(difference) > 1e-9 else 1e-9
