"""Which arms are in memory: as many as fit into a limit, those that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import final

import torch

from tuneoff.errors import RunError
from tuneoff.report.format import format_bytes
from tuneoff.serving.arms import Arm
from tuneoff.system.capacity import get_memory_bytes

SHARE_OF_MEMORY = 0.5  # of what is free once the base model is loaded


@final
class ArmMemory:
    """The arms in memory. An arm that must leave is not used any more, and counts until it has left.

    Args:
        limit: bytes of all arms together, besides the base model.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.loads = self.unloads = 0
        self._present: OrderedDict[Arm, None] = OrderedDict()  # the last used one last
        self._leaving: set[Arm] = set()

    @property
    def arms(self) -> int:
        """How many are in memory."""
        return len(self._present)

    @property
    def bytes(self) -> int:
        """What they take."""
        return sum(arm.bytes for arm in self._present)

    @property
    def leaving(self) -> Collection[Arm]:
        """Those that must leave."""
        return tuple(self._leaving)

    def has(self, arm: Arm) -> bool:
        """Return whether an arm is in memory, be it that it must leave."""
        return arm in self._present

    def has_room(self, size: int) -> bool:
        """Return whether as many bytes more are within the limit."""
        return self.bytes + size <= self.limit

    def require_possible(self, arm: Arm) -> None:
        """Check that an arm fits alone.

        Raises:
            RunError: it does not.
        """
        if arm.bytes > self.limit:
            raise RunError(
                f"{arm.name} takes {format_bytes(arm.bytes)}, and all models together may take "
                f"{format_bytes(self.limit)}. Give them more with --arm-memory."
            )

    def note_use(self, arm: Arm) -> None:
        """Note that an arm is asked."""
        if arm in self._present:
            self._present.move_to_end(arm)

    def put(self, arm: Arm) -> None:
        """Count an arm that was loaded, as the last used one."""
        self._present[arm] = None
        self.loads += 1

    def make_room(self, size: int, keep: Collection[Arm]) -> None:
        """Let those leave that were not used for longest, until as many bytes more are within the limit.

        Args:
            keep: those that must stay.
        """
        staying = self.bytes - sum(arm.bytes for arm in self._leaving)
        for arm in self._present:
            if staying + size <= self.limit:
                return
            if arm.bytes and arm not in keep and arm not in self._leaving:
                self._leaving.add(arm)
                staying -= arm.bytes

    def let_leave(self, arm: Arm) -> None:
        """Let an arm leave."""
        if arm in self._present:
            self._leaving.add(arm)

    def drop(self, arm: Arm) -> None:
        """Forget the weights of an arm that must leave."""
        del self._present[arm]
        self._leaving.remove(arm)
        arm.weights = None
        self.unloads += 1


def choose_limit(device: torch.device) -> int:
    """Return the bytes for arms unless a user says how many: half of what is free."""
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(SHARE_OF_MEMORY * min(psutil.virtual_memory().available, get_memory_bytes(device)))
