"""One example as text: what the model reads and what it should write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]  # one row of the data: every column, with the values that its file holds
EXTRA_NAMES = ("source", "messages")  # of a prompt template, besides the columns: neither holds the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One example. Two examples with equal source and target are duplicates."""

    source: str  # what the model reads, as it is shown to people
    target: str  # what the model should write, and is trained on
    references: tuple[str, ...] = ()  # every accepted answer; empty: the target alone
    columns: Row = field(default_factory=dict)  # the row, for prompt templates and for metrics of the user's own
    messages: tuple[Row, ...] = ()  # of a chat, in order, ending with the answer of an assistant; empty: no chat
    group: str | None = None  # of examples that belong together; None: it is on its own
    document: str = ""  # that a question is about; empty: the source stands for itself

    @property
    def content(self) -> tuple[str, str]:
        """What decides whether two examples are duplicates."""
        return self.source, self.target

    @property
    def origin(self) -> str:
        """What examples have in common that must stay in one split: the document, or else the source."""
        return self.document or self.source
