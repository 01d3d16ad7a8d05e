"""Full fine-tuning trains every weight of the model."""

from __future__ import annotations

from typing import ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Decay, Rate
from tuneoff.methods.whole import Whole
from tuneoff.optimizers import FOR_BLOCKS, OptimizerName


@final
class Full(Whole):
    """Train all weights. They are float32 also when the matrix products are computed in bf16.

    Weights in bf16 would lose updates below their resolution (meta-pytorch/torchtune#2254). The learning rate is the
    upper end of tinker-cookbook's formula for models of 125 to 400 M parameters. A model of a billion parameters or
    more needs about 2e-5 (huggingface/trl).
    """

    name: ClassVar[str] = "full"
    optimizers: ClassVar[frozenset[OptimizerName]] = FOR_BLOCKS
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-6, high=3e-4), "weight_decay": (0.0, 0.01, 0.1)}
    learning_rate: Rate = 5e-5
    weight_decay: Decay = 0.01
