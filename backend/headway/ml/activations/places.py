"""Names of places in a model, and what their rows take on disk, without what it takes to run one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

#: Of a block: the residual stream before, between and behind its two parts; what the parts add; what the second reads.
HookName = Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_in", "mlp_out"]
StoredDtype = Literal["bfloat16", "float32"]

ITEM_BYTES: Mapping[StoredDtype, int] = {"bfloat16": 2, "float32": 4}
ROW_TOKEN_BYTES = 4
#: For forecasts: what a process with torch takes, and tensors [tokens, width] that live at once in a forward.
PROCESS_BYTES, LIVE_TENSORS = 500 << 20, 12


class Place(NamedTuple):
    """A hook of a block, which is counted from 0."""

    layer: int
    hook: HookName

    @property
    def name(self) -> str:
        """As in folders and metrics: `layer03.resid_post`."""
        return f"layer{self.layer:02d}.{self.hook}"


def store_bytes(rows: int, d_in: int, places: int, dtype: StoredDtype) -> int:
    """What a store of so many rows takes on disk, its manifest aside."""
    return rows * (places * d_in * ITEM_BYTES[dtype] + ROW_TOKEN_BYTES)


def forward_work(tokens: int, width: int, deepest: int) -> float:
    """Multiply-adds of a forward to behind the block `deepest`: 12 · width² a block and token, attention aside."""
    return 12.0 * width**2 * (deepest + 1) * tokens


def forward_bytes(model_bytes: int, batch_tokens: int, width: int) -> int:
    """Memory of a forward in float32: a process with torch, the weights as they lie on disk, a dozen live tensors."""
    return PROCESS_BYTES + model_bytes + LIVE_TENSORS * 4 * batch_tokens * width
