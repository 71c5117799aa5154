"""How many jobs of each queue this worker runs at once; a slot is free or taken, nobody waits for one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from headway.settings import Settings


def slots_of(settings: Settings, queues: Sequence[str], gpus: int) -> dict[str, int]:
    """The slots of a worker of these queues; unless HEADWAY_SLOTS says otherwise, every GPU can have a job."""
    slots = {queue: settings.slots.get(queue, 1) for queue in queues}
    if "gpu" in slots and "headway_slots" not in settings.model_fields_set:
        slots["gpu"] = max(slots["gpu"], gpus)
    return slots


class Slots:
    """Counts of free slots by queue."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        self._free = dict(slots)
        self._lock = threading.Lock()

    def take(self, queue: str) -> bool:
        """Take a slot if one is free."""
        with self._lock:
            if self._free.get(queue, 0) < 1:
                return False
            self._free[queue] -= 1
            return True

    def free(self, queue: str) -> int:
        """How many are free now."""
        with self._lock:
            return self._free.get(queue, 0)

    def free_queues(self) -> list[str]:
        """The queues with a free slot."""
        with self._lock:
            return [queue for queue, free in self._free.items() if free > 0]

    def give_back(self, queue: str) -> None:
        """Free a slot that was taken."""
        with self._lock:
            self._free[queue] += 1
