"""Adafactor: second moments by row and column. Source: Shazeer and Stern, arXiv:1804.04235, through transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, Optimizer, OptimizerName, list_trained

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel


@final
class Adafactor(Optimizer):
    """A few bytes for each row and column of a matrix, and 4 for each element of a vector. There is no momentum.

    Its own steps, which fall with time and grow with the weights, are off: the learning rate is the schedule's, as for
    every other optimizer. The root mean square of an update is then at most the learning rate, which is about AdamW's
    update, so the learning rates are AdamW's.
    """

    name: ClassVar[OptimizerName] = "adafactor"

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        from transformers.optimization import Adafactor as OfTransformers

        of_transformers: torch.optim.Optimizer = OfTransformers(
            groups, lr=groups[0]["lr"], scale_parameter=False, relative_step=False
        )
        return of_transformers

    def count_state_bytes(self, model: LanguageModel) -> float:
        return sum(_count_bytes(parameter) for parameter in list_trained(model))


def _count_bytes(parameter: Tensor) -> float:
    if parameter.ndim < 2:
        return FLOAT_BYTES * parameter.numel()
    rows, columns = parameter.shape[-2:]
    return FLOAT_BYTES * parameter.numel() * (1 / rows + 1 / columns)
