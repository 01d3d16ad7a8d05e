"""LISA: full tuning of a few random blocks at a time. Source: Pan et al. 2024, arXiv:2403.17919."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Decay, Rate
from tuneoff.methods.whole import Whole
from tuneoff.optimizers import OptimizerName

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class LISA(Whole):
    """Train a few blocks at a time, drawn anew every few steps, and always what is outside of the blocks.

    That is the embeddings, the last norm and the head. The other blocks get no gradient and no state until they are
    drawn. All weights are counted as trained, since each block has its turn in a long training; a short one may leave
    some as they were. The weights are float32 as in full tuning, and so is the copy of the best ones. The learning
    rates are full tuning's, without a solid published source for small models; the authors' example trains 1 block for
    20 steps.
    """

    name: ClassVar[str] = "lisa"
    optimizers: ClassVar[frozenset[OptimizerName]] = frozenset({"lisa"})
    space: ClassVar[Space] = {
        "learning_rate": Range(low=1e-6, high=3e-4),
        "blocks": (1, 2, 4),
        "steps": (1, 5, 20),
    }
    optimizer: OptimizerName = Field("lisa", exclude=True)
    """Always its own."""
    learning_rate: Rate = 5e-5
    weight_decay: Decay = 0.01
    blocks: int = Field(2, ge=1)
    """Transformer blocks that are trained at a time."""
    steps: int = Field(5, ge=1)
    """Steps after which other blocks are drawn."""

    def apply(self, base: LanguageModel) -> LanguageModel:
        from tuneoff.optimizers.drawn_blocks import Draw

        if self.blocks > len(base.blocks):
            raise ValueError(f"blocks is {self.blocks}, and the model has only {len(base.blocks)}")
        tuned = super().apply(base)
        tuned.network.blocks_drawn = Draw(self.blocks, self.steps)
        return tuned
