"""One split: its examples, and counts of the rows that it left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from tuneoff.data.example import Example

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

MAX_EXAMPLES = 3  # rows that are listed, of those left out and of those whose target spells a missing value


@dataclass
class Split:
    """The examples of one split in the order of the data, and counts of the rows that it left out."""

    examples: list[Example] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # their indices in the data
    left_out: int = 0
    left_out_examples: list[str] = field(default_factory=list)
    duplicates_removed: int = 0
    groups_removed: int = 0  # rows whose group is in another split
    sources_removed: int = 0  # rows whose source is in another split, with another target or on its own there
    na_targets: int = 0  # examples whose target spells a missing value
    na_examples: list[str] = field(default_factory=list)
    near_duplicates: int = 0  # examples of train that are nearly in another split, removed or not
    near_checked: int = 0  # examples of train that were compared
    near_indexed: int = 0  # examples of test and validation that they were compared with

    @property
    def groups(self) -> list[str]:
        """The groups of the examples; empty if every row is on its own."""
        return [example.group for example in self.examples if example.group is not None]

    @property
    def repeated(self) -> int:
        """Examples that are equal to an earlier one of the split."""
        return len(self.examples) - len({example.content for example in self.examples})

    @property
    def has_equal_sources(self) -> bool:
        """Whether a source stands in several examples."""
        sources = [example.origin for example in self.examples if example.origin]
        return len(set(sources)) < len(sources)

    def left_out_share(self, used: int) -> float:
        """Return the share of the rows that were left out because they are not usable."""
        return self.left_out / (self.left_out + used) if self.left_out else 0.0

    def leave_out(self, row: int, reason: str) -> None:
        """Count a row without usable text. `row` counts from 0, the message from 1."""
        self.left_out += 1
        if self.left_out <= MAX_EXAMPLES:
            self.left_out_examples.append(f"row {row + 1}: {reason}")

    def count_na_text(self, row: int, target: str | None) -> None:
        """Count a target that spells a missing value; None: it does not."""
        if target is not None:
            self.na_targets += 1
            if self.na_targets <= MAX_EXAMPLES:
                self.na_examples.append(f"row {row + 1}: {target!r}")
