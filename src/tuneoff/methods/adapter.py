"""Bottleneck adapters. Source: Houlsby et al. 2019, arXiv:1902.00751; their position in a block is that of Pfeiffer
et al. 2021, arXiv:2005.00247.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from tuneoff.config.limits import LARGEST_RANK
from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.subset import Subset

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges


@final
class Adapter(Subset):
    """Add a bottleneck after each block's MLP: a projection down to `width`, GELU, a projection up, and a residual.

    A block without an MLP gets it after its mixer. The up-projection starts at zero, so training starts at the base
    model. The bottleneck cannot be merged, so it adds latency to every token. AdapterHub trains at a learning rate of
    1e-4, r-three/t-few at 3e-3 with Adafactor.
    """

    name: ClassVar[str] = "adapter"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=3e-5, high=3e-3), "width": (8, 16, 32, 64)}
    learning_rate: Rate = 5e-4
    width: int = Field(16, ge=1, le=LARGEST_RANK)
    """Width of the bottleneck."""

    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        from torch import nn

        from tuneoff.models.structure import find_mlp

        added: list[nn.Parameter] = []
        for block in base.blocks:
            mlp = find_mlp(block)
            down, up = nn.Linear(base.width, self.width), nn.Linear(self.width, base.width)
            for parameter in (up.weight, up.bias):
                nn.init.zeros_(parameter)
            mlp.bottleneck = nn.Sequential(down, nn.GELU(), up).to(next(_list_floats(mlp, block)))
            mlp.register_forward_hook(_apply_bottleneck)
            added += mlp.bottleneck.parameters()
        return added

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        from tuneoff.models.row_changes import Followed, RowChanges

        owners = {name: mlp for name, mlp in tuned.base.named_modules() if hasattr(mlp, "bottleneck")}
        return RowChanges(modules={name: Followed(mlp.bottleneck) for name, mlp in owners.items()})


def _list_floats(*modules: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that are no codes of a quantised layer."""
    return (p for module in modules for p in module.parameters() if p.is_floating_point())


def _apply_bottleneck(mlp: Any, _: object, output: Any) -> Any:  # Any: a tensor, or a tuple that begins with one
    if isinstance(output, tuple):
        return (_apply_bottleneck(mlp, _, output[0]), *output[1:])
    return output + mlp.bottleneck(output)
