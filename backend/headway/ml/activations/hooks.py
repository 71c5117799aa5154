"""Takes activations out of any transformers model whose blocks lie in one module list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from headway.ml.activations.places import HookName, Place

Keep = Callable[[Tensor], None]


class _DeepestReached(Exception):
    """Raised by the last hook: what follows it would be thrown away."""


class UnknownHookError(ValueError):
    """A block has no place of that name, or none that is known."""


@dataclass(frozen=True, slots=True)
class Site:
    """One side of a module in a block (`path` "" is the block itself); none where the block has one of `unless`."""

    path: str
    side: Literal["in", "out"]
    unless: tuple[str, ...] = ()

    def module_in(self, block: nn.Module) -> nn.Module | None:
        """The module it names in `block`, if that has it."""
        if any(getattr(block, name, None) for name in self.unless):
            return None
        try:
            return block.get_submodule(self.path)
        except AttributeError:
            return None

    def watch(self, module: nn.Module, keep: Keep) -> RemovableHandle:
        """Hand `keep` what goes into the module, or what comes out."""
        if self.side == "out":
            return module.register_forward_hook(lambda _module, _args, output: keep(_first(output)))

        def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            keep(args[0] if args else kwargs["hidden_states"])

        return module.register_forward_pre_hook(before, with_kwargs=True)


#: Where each place lies; the first site that a block has. In this order: encoders that add before their norm (BERT and
#: its kin, DistilBERT), then decoders by what they call their parts. Norms behind attention stand on the stream only
#: where they are the next block part's own, and blocks whose two parts work side by side have no middle.
SITES: Mapping[HookName, tuple[Site, ...]] = {
    "resid_pre": (Site("", "in"),),
    "resid_mid": (
        Site("attention.output.LayerNorm", "in"),
        Site("sa_layer_norm", "in"),
        Site("pre_feedforward_layernorm", "in"),
        Site("post_attention_layernorm", "in", unless=("post_feedforward_layernorm", "use_parallel_residual")),
        Site("ln_2", "in"),
        Site("mlp_norm", "in"),
        Site("final_layer_norm", "in"),
    ),
    "resid_post": (Site("", "out"),),
    "attn_out": (
        Site("attention.output.dense", "out"),
        Site("self_attention.dense", "out"),
        Site("self_attn", "out"),
        Site("attn", "out"),
        Site("attention", "out"),
    ),
    "mlp_in": (Site("intermediate", "in"), Site("mlp", "in"), Site("ffn", "in"), Site("fc1", "in")),
    "mlp_out": (
        Site("output.dense", "out"),
        Site("mlp.dense_4h_to_h", "out"),
        Site("mlp", "out"),
        Site("ffn", "out"),
        Site("fc2", "out"),
    ),
}


def find_blocks(model: nn.Module, count: int) -> tuple[nn.Module, str]:
    """The module that holds the list of `count` blocks, and the list's name in it. Raises ValueError if none does."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return module, name
    raise ValueError(f"{type(model).__name__} has no list of {count} blocks: this architecture is not known")


class Tap:
    """A model cut off after the deepest hooked block; `forward` answers the activations of every place asked for."""

    def __init__(self, model: nn.Module, places: Sequence[Place], block_count: int) -> None:
        """Layers count blocks from 0. Raises ValueError for one that is not there, UnknownHookError for a hook."""
        for place in places:
            if not 0 <= place.layer < block_count:
                raise ValueError(f"layer {place.layer} is not in the model: it has layers 0 to {block_count - 1}")
        owner, name = find_blocks(model, block_count)
        blocks = getattr(owner, name)[: max(place.layer for place in places) + 1]
        self._watched = {place: _found(blocks[place.layer], place.hook) for place in places}
        setattr(owner, name, blocks)  # frees the weights behind
        self._model = model

    @torch.inference_mode()
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> dict[Place, Tensor]:
        """Activations [batch, position, d_in] by place, of ids [batch, position]."""
        found: dict[Place, Tensor] = {}

        def keeper(place: Place) -> Keep:
            def keep(value: Tensor) -> None:
                found[place] = value
                if len(found) == len(self._watched):
                    raise _DeepestReached

            return keep

        with ExitStack() as stack:
            for place, (site, module) in self._watched.items():
                stack.callback(site.watch(module, keeper(place)).remove)
            with suppress(_DeepestReached):
                self._model(input_ids=input_ids, attention_mask=attention_mask)
        # OPT's MLP takes the positions of all contexts in one row
        return {place: found[place].reshape(*input_ids.shape, -1) for place in self._watched}


def _found(block: nn.Module, hook: HookName) -> tuple[Site, nn.Module]:
    for site in SITES[hook]:
        if module := site.module_in(block):
            return site, module
    there = [name for name, sites in SITES.items() if any(site.module_in(block) for site in sites)]
    raise UnknownHookError(f"{type(block).__name__} has no {hook}; it has {', '.join(there)}")


def _first(value: Any) -> Tensor:
    return value[0] if isinstance(value, tuple) else value
