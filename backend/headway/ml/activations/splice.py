"""Runs a whole model with the activations at one place changed on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from headway.ml.activations.hooks import SITES, Site, find_blocks
from headway.ml.activations.places import Place
from headway.ml.models.load import block_count

Change = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def spliced(model: Any, source: Place, target: Place, change: Change) -> Generator[None]:
    """While this is open, `change(at source, at target)` takes the place of what is at `target`.

    All are [batch, position, d]. Both places must be in the model, the source not behind the target.
    """
    seen: dict[str, Tensor] = {}
    with ExitStack() as stack:
        if source != target:
            site, module = _found(model, source)
            stack.callback(site.watch(module, lambda value: seen.update(source=value)).remove)
        site, module = _found(model, target)

        def changed(value: Tensor) -> Tensor:
            return change(seen.get("source", value), value)

        stack.callback(_replace(site, module, changed).remove)
        yield


def _found(model: Any, place: Place) -> tuple[Site, nn.Module]:
    owner, name = find_blocks(model, block_count(model))
    block = getattr(owner, name)[place.layer]
    return next((site, module) for site in SITES[place.hook] if (module := site.module_in(block)))


def _replace(site: Site, module: nn.Module, changed: Callable[[Tensor], Tensor]) -> Any:
    def after(_module: nn.Module, _args: Any, output: Any) -> Any:
        return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

    if site.side == "out":
        return module.register_forward_hook(after)

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (changed(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": changed(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(before, with_kwargs=True)
