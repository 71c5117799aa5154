"""The names of the architectures, without what it takes to run them."""

from typing import Literal

Architecture = Literal[
    "topk",
    "batch_topk",
    "matryoshka",
    "relu",
    "relu_unit_norm",
    "jumprelu",
    "gated",
    "transcoder",
    "skip_transcoder",
]
