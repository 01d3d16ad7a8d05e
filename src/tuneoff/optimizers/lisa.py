"""LISA's optimizer: AdamW on a few blocks at a time. Source: Pan et al. 2024, arXiv:2403.17919."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.adamw import count_adamw_bytes
from tuneoff.optimizers.optimizer import Group, Optimizer, OptimizerName

if TYPE_CHECKING:
    import torch

    from tuneoff.models.language_model import LanguageModel


@final
class LISA(Optimizer):
    """8 bytes for each parameter of the blocks that are trained at a time, and of what is outside of the blocks.

    What AdamW keeps of a block is dropped when the block is frozen, as the authors describe
    (OptimalScale/LMFlow#729), so it starts anew when it is drawn again.
    """

    name: ClassVar[OptimizerName] = "lisa"

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        import torch

        from tuneoff.optimizers.drawn_blocks import DrawnBlocks

        return DrawnBlocks(groups, list(model.blocks), model.network.blocks_drawn, torch.initial_seed())

    def count_state_bytes(self, model: LanguageModel) -> float:
        of_blocks = sorted(
            (sum(count_adamw_bytes(parameter) for parameter in block.parameters()) for block in model.blocks),
            reverse=True,
        )
        everywhere = sum(count_adamw_bytes(parameter) for parameter in model.parameters())
        return everywhere - sum(of_blocks[model.network.blocks_drawn.blocks :])
