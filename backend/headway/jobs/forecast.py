"""What a run is going to take, as far as it can be known before its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What its maker said of each input artifact, by config field, and its size as `bytes`; without those not made yet.
Metas = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`says` is the size in a person's words; bytes are None where they cannot be known.

    `work` is each phase's amount in whatever its time grows with (multiply-adds, say): how long that takes is learned
    from finished runs of the kind.
    """

    says: str = ""
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    work: Mapping[str, float] = field(default_factory=dict[str, float])
