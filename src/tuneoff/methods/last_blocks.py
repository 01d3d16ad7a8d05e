"""Last-blocks tuning trains the last transformer blocks. The lower blocks and the head stay frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Decay, Rate
from tuneoff.methods.subset import Subset
from tuneoff.optimizers import FOR_BLOCKS, OptimizerName

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


@final
class LastBlocks(Subset):
    """Train all weights of the last `blocks` blocks: attention, MLP and norms.

    The backward pass stops below them. The learning rates are the last layer's, without a solid published source.
    """

    name: ClassVar[str] = "last-blocks"
    starts_as_base: ClassVar[bool] = True
    optimizers: ClassVar[frozenset[OptimizerName]] = FOR_BLOCKS
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-5, high=3e-3), "blocks": (1, 2, 4)}
    learning_rate: Rate = 2e-4
    weight_decay: Decay = 0.01
    blocks: int = Field(2, ge=1)
    """Transformer blocks to train, counted from the last."""

    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        blocks = base.blocks
        if self.blocks > len(blocks):
            raise ValueError(f"blocks is {self.blocks}, and the model has only {len(blocks)}")
        return blocks[-self.blocks :].parameters()

    def describe_for_peft(self, tuned: LanguageModel) -> PeftConfig | None:
        from tuneoff.methods.peft_copies import describe_copies

        return describe_copies(tuned, [module for block in tuned.blocks[-self.blocks :] for module in block.modules()])
