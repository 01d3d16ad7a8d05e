"""The prompts that a run writes, for requests that bring the fields of an example instead of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuneoff.config.data import DataOptions
from tuneoff.data.example import Row
from tuneoff.data.prompt import Encoder
from tuneoff.runner.trained_model import encode_unanswered


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The template and the limits of a run, with the tokenizer of its model."""

    data: DataOptions
    encoder: Encoder

    def render(self, fields: str | Row | Sequence[Row]) -> tuple[int, ...]:
        """Return the tokens of a prompt, as the model saw it in training.

        Args:
            fields: a source text; a row with the columns that the template uses; or the messages of a chat.

        Raises:
            DataError: the row lacks a column that the template uses, or the chat does not fit the template.
        """
        return tuple(encode_unanswered([fields], self.data, self.encoder)[0])
