"""What one training consists of."""

from __future__ import annotations

from dataclasses import dataclass

from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData
from tuneoff.optimizers import Optimizer


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Everything that determines the losses of one training, besides the model."""

    text: TextData
    options: TrainingOptions
    learning_rate: float
    weight_decay: float
    optimizer: Optimizer
    loss_on: str
    evaluation_batch_size: int
    seed: int
    rungs: tuple[float, ...] = (1.0,)  # extra validations, as fractions of the full training, which ends at the last
