"""What changes the choice of the next token and what ends a row, for our own decoding and for transformers'.

Shapes: R rows, N new tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# From logits_RV, the new tokens of each row, (R, N), and the rows' numbers in the batch, (R,), to other logits_RV.
Adjust = Callable[[Tensor, Tensor, Tensor], Tensor]
IsStopped = Callable[[Tensor], Tensor]  # from the new tokens of each row, (R, N), to booleans, (R,)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What applies to every new token besides the likelihood that the model gives it.

    Args:
        adjustments: functions that change the logits, one after another.
        is_stopped: says which rows end with the token before; None: only an end token ends a row.
    """

    adjustments: Sequence[Adjust] = ()
    is_stopped: IsStopped | None = None

    def adjust(self, logits_RV: Tensor, tokens_RN: Tensor, rows_R: Tensor) -> Tensor:
        """Return the logits after all adjustments."""
        for adjust in self.adjustments:
            logits_RV = adjust(logits_RV, tokens_RN, rows_R)
        return logits_RV

    def list_options(self, start: int, rows_R: Tensor | None = None) -> dict[str, Any]:
        """Return the rules as options of transformers' `generate`; none if there are no rules.

        Args:
            start: tokens of the prompt among those that transformers hands to its processors.
            rows_R: the numbers of the rows; 0, 1, 2 and so on unless given.
        """
        options: dict[str, Any] = {}

        def process(tokens_RT: Tensor, logits_RV: Tensor) -> Tensor:
            rows = torch.arange(len(tokens_RT), device=tokens_RT.device) if rows_R is None else rows_R
            return self.adjust(logits_RV, tokens_RT[:, start:], rows)

        if self.adjustments:
            options["logits_processor"] = [process]
        if is_stopped := self.is_stopped:
            options["stopping_criteria"] = [lambda tokens_RT, _, **__: is_stopped(tokens_RT[:, start:])]
        return options
