"""Last-layer tuning trains only the output head. The rest of the model stays frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Decay, Rate
from tuneoff.methods.subset import Subset
from tuneoff.optimizers import OptimizerName

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


@final
class LastLayer(Subset):
    """Train only the output head.

    In most small models the head and the input embedding share one weight. Unless `tied` is set, the head first gets
    its own copy: otherwise the method would silently train both ends of the model. The learning rate is between those
    of full tuning and BitFit, without a solid published source.
    """

    name: ClassVar[str] = "last-layer"
    starts_as_base: ClassVar[bool] = True
    optimizers: ClassVar[frozenset[OptimizerName]] = frozenset({"adamw", "adafactor", "lion"})
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-5, high=3e-3)}
    learning_rate: Rate = 2e-4
    weight_decay: Decay = 0.0
    tied: bool = False
    """Where the model ties its head to the input embedding, train both as one tensor."""

    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        from tuneoff.models.structure import untie_head

        if not self.tied:
            untie_head(base.base)
        return base.head.parameters()

    def describe_for_peft(self, tuned: LanguageModel) -> PeftConfig | None:
        from tuneoff.methods.peft_copies import describe_copies
        from tuneoff.models.structure import has_tied_head

        return None if has_tied_head(tuned.base) else describe_copies(tuned, [tuned.head])
