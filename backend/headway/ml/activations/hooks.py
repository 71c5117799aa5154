"""Takes activations out of any transformers model whose blocks lie in one module list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

HookName = Literal["resid_pre", "resid_post"]


class _DeepestReached(Exception):
    """Raised by the last hook: what follows it would be thrown away."""


def _first(value: Any) -> Tensor:
    return value[0] if isinstance(value, tuple) else value


def _watch_input(block: nn.Module, keep: Callable[[Tensor], None]) -> RemovableHandle:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(args[0] if args else kwargs["hidden_states"])

    return block.register_forward_pre_hook(hook, with_kwargs=True)


def _watch_output(block: nn.Module, keep: Callable[[Tensor], None]) -> RemovableHandle:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        keep(_first(output))

    return block.register_forward_hook(hook)


class _Attach(Protocol):
    def __call__(self, block: nn.Module, keep: Callable[[Tensor], None]) -> RemovableHandle: ...


#: Where in a block a hook sits: the residual stream before it and after it.
ATTACH: Mapping[HookName, _Attach] = {"resid_pre": _watch_input, "resid_post": _watch_output}


def find_blocks(model: nn.Module, count: int) -> tuple[nn.Module, str]:
    """The module that holds the list of `count` blocks, and the list's name in it. Raises ValueError if none does."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return module, name
    raise ValueError(f"{type(model).__name__} has no list of {count} blocks: this architecture is not known")


class Tap:
    """A model cut off after the deepest hooked block; `forward` answers the activations of every hooked layer."""

    def __init__(self, model: nn.Module, layers: Sequence[int], hook: HookName, block_count: int) -> None:
        """`layers` count blocks from 0; each must be below `block_count` (ValueError names the one that is not)."""
        for layer in layers:
            if not 0 <= layer < block_count:
                raise ValueError(f"layer {layer} is not in the model: it has layers 0 to {block_count - 1}")
        owner, name = find_blocks(model, block_count)
        blocks = getattr(owner, name)[: max(layers) + 1]
        setattr(owner, name, blocks)  # frees the weights behind
        self._model = model
        self._layers = sorted(layers)
        self._blocks = blocks
        self._attach = ATTACH[hook]

    @torch.inference_mode()
    def forward(self, **inputs: Tensor) -> dict[int, Tensor]:
        """Activations [batch, position, d_in] by layer."""
        found: dict[int, Tensor] = {}

        def keeper(layer: int) -> Callable[[Tensor], None]:
            def keep(value: Tensor) -> None:
                found[layer] = value
                if len(found) == len(self._layers):
                    raise _DeepestReached

            return keep

        with ExitStack() as stack:
            for layer in self._layers:
                stack.callback(self._attach(self._blocks[layer], keeper(layer)).remove)
            with suppress(_DeepestReached):
                self._model(**inputs)
        return found
