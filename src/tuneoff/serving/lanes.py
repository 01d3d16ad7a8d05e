"""The lanes of an engine: one in which arms mix, and one for each arm that cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tuneoff.models.language_model import LanguageModel
from tuneoff.serving.arms import Arm
from tuneoff.serving.lane import Lane
from tuneoff.serving.row import Row
from tuneoff.serving.self_test import open_mixed_lane
from tuneoff.serving.shared_prefixes import SharedPrefixes


class Lanes:
    """All lanes of one base model, within common limits.

    Args:
        max_rows: of all lanes.
        max_cache_tokens: positions of keys and values that the rows of all lanes may need.
        max_shared_tokens: positions that are kept of what prompts have in common at their beginnings.
    """

    def __init__(self, base: LanguageModel, *, max_rows: int, max_cache_tokens: int, max_shared_tokens: int) -> None:
        self.prefixes = SharedPrefixes(max_shared_tokens)
        self.mixed = open_mixed_lane(base, ())
        self.mixed.prefixes = self.prefixes
        self._own: dict[Arm, Lane] = {}
        self._arms: set[Arm] = set()
        self._max_rows = max_rows
        self._max_cache_tokens = max_cache_tokens

    def __iter__(self) -> Iterator[Lane]:
        return iter((self.mixed, *self._own.values()))

    @property
    def rows(self) -> list[Row]:
        return [row for lane in self for row in lane.rows]

    def find(self, arm: Arm) -> Lane:
        """Return the lane of an arm's rows."""
        return self._own.get(arm, self.mixed)

    def has(self, arm: Arm) -> bool:
        """Return whether rows of an arm can be read."""
        return arm in self._arms

    def add(self, arm: Arm, own: Lane | None) -> None:
        """Take up an arm, with a lane of its own if it cannot mix."""
        self._arms.add(arm)
        if own is not None:
            own.prefixes = self.prefixes
            self._own[arm] = own
        elif arm.loaded.changes is not None:
            self.mixed.network.add(arm, dict(arm.loaded.changes.modules))

    def remove(self, arm: Arm) -> None:
        """Forget an arm, which has no rows any more."""
        self._arms.discard(arm)
        self.prefixes.forget(arm)
        self.mixed.network.remove(arm)
        self._own.pop(arm, None)

    def has_room(self, row: Row, taken: Mapping[Lane, Sequence[Row]]) -> bool:
        """Return whether a row fits beside the present ones and those that are taken for each lane. One alone does."""
        rows = len(self.rows) + sum(map(len, taken.values()))
        own = self.find(row.arm)
        more = {lane: [*taken.get(lane, ()), *([row] if lane is own else [])] for lane in self}
        positions = sum(lane.count_positions(*of_lane) for lane, of_lane in more.items())
        return rows < self._max_rows and (positions <= self._max_cache_tokens or rows == 0)
