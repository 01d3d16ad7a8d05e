"""EVA: LoRA from what varies in a layer's inputs. Source: Paischer et al. 2024, arXiv:2410.07170, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import ADAPTER, SHARED_SPACE, LowRank, find_low_rank_layers
from tuneoff.methods.method import Rate

if TYPE_CHECKING:
    from torch import Tensor

    from tuneoff.methods.method import ReadTrain
    from tuneoff.models.language_model import LanguageModel

TOKENS = 1024  # of a layer's inputs that are decomposed together


@final
class EVA(LowRank):
    """LoRA whose matrices A start as the directions in which the inputs of their layers vary most.

    Before the first step, the base model reads `rows` rows of train, and peft's incremental PCA finds the directions.
    The matrices B start at zero, so training starts at the base model. The seconds and the memory count as training.
    Every layer keeps the rank of the recipe: the paper's second step, which moves ranks from layers whose inputs vary
    in few directions to others (`rho` in peft), is left out, so that a method trains as much as the plan says and as
    LoRA does. peft's example trains at 5e-4, as LoRA.
    """

    name: ClassVar[str] = "eva"
    reads_train: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHARED_SPACE}
    adapts_thin_layers: ClassVar[bool] = False
    adapts_experts: ClassVar[bool] = False
    learning_rate: Rate = 5e-4
    rows: int = Field(64, ge=1)
    """Rows of train that are read for the directions, the first ones of the first epoch; all if there are fewer."""

    def set_start(self, tuned: LanguageModel, read: ReadTrain) -> None:
        import torch

        from tuneoff.models.layer_inputs import watch_inputs

        layers = find_low_rank_layers(tuned)
        found: dict[str, _Directions] = {}

        def see(name: str, inputs_NI: Tensor) -> None:
            found.setdefault(name, _Directions(min(self.rank, inputs_NI.shape[1]))).add(inputs_NI)

        with torch.no_grad(), watch_inputs(layers, see) as seen_as:
            read(self.rows)
            directions = {name: one.find() for name, one in found.items()}
            for name, first in seen_as.items():
                layers[name].lora_A[ADAPTER].weight[: len(directions[first])] = directions[first]


class _Directions:
    """The first principal components of a layer's inputs, which come a few at a time."""

    def __init__(self, rank: int) -> None:
        from peft.utils.incremental_pca import IncrementalPCA

        self._pca = IncrementalPCA(n_components=rank, lowrank=True, lowrank_seed=0)
        self._rank = rank
        self._waiting: list[Tensor] = []

    def add(self, inputs_NI: Tensor) -> None:
        """Take inputs, and decompose all that wait once they are enough."""
        self._waiting.append(inputs_NI)
        if sum(map(len, self._waiting)) >= max(TOKENS, self._rank):
            self._decompose()

    def find(self) -> Tensor:
        """Return the components, (R, I); fewer of them from fewer inputs than the rank."""
        import torch

        if sum(map(len, self._waiting)) >= self._rank:
            self._decompose()
        if hasattr(self._pca, "components_"):
            components_RI: Tensor = self._pca.components_
            return components_RI
        inputs_NI = torch.cat(self._waiting)
        vectors_NI: Tensor = torch.linalg.svd(inputs_NI - inputs_NI.mean(dim=0), full_matrices=False).Vh
        return vectors_NI[: self._rank]

    def _decompose(self) -> None:
        import torch

        inputs_NI, self._waiting = torch.cat(self._waiting), []
        # The quick decomposition needs twice as many rows and columns as components.
        self._pca.lowrank = 2 * self._rank <= min(inputs_NI.shape)
        self._pca.partial_fit(inputs_NI)
