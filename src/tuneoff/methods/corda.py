"""CorDA: LoRA from the weights as the data uses them. Source: Yang et al. 2024, arXiv:2406.05223, through peft."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import ADAPTER, SHARED_SPACE, find_low_rank_layers
from tuneoff.methods.method import Rate
from tuneoff.methods.subtracted import Subtracted, remember_start

if TYPE_CHECKING:
    from torch import Tensor

    from tuneoff.methods.method import ReadTrain
    from tuneoff.models.language_model import LanguageModel


@final
class CorDA(Subtracted):
    """LoRA whose matrices start as the parts of the weight that matter most for inputs like those on train.

    Before the first step, the base model reads `rows` rows of train. The product of each weight and the covariance of
    its inputs is decomposed, and the largest parts are subtracted from the weight. Training starts at the base model up
    to rounding, and the saved adapter is a plain LoRA of twice the rank, as PiSSA's. The seconds and the memory count
    as training: a square matrix in float32 for each adapted layer, as wide as its input. It is the paper's
    "instruction-previewed" mode. The one that preserves knowledge would need questions about that knowledge. The paper
    trains at PiSSA's rate.
    """

    name: ClassVar[str] = "corda"
    reads_train: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-6, high=5e-4), **SHARED_SPACE}
    learning_rate: Rate = 5e-5
    rows: int = Field(256, ge=1)
    """Rows of train that are read for the covariances, the first ones of the first epoch; all if there are fewer."""

    def set_start(self, tuned: LanguageModel, read: ReadTrain) -> None:
        import torch

        from tuneoff.models.layer_inputs import watch_inputs

        layers = find_low_rank_layers(tuned)
        covariances: dict[str, Tensor] = {}
        rows: Counter[str] = Counter()

        def see(name: str, inputs_NI: Tensor) -> None:
            scaled_NI = inputs_NI / inputs_NI.abs().max().clamp_min(1e-30)  # so that each row of train counts alike
            covariance_II = scaled_NI.T @ scaled_NI
            covariances[name] = covariances[name] + covariance_II if name in covariances else covariance_II
            rows[name] += 1

        with torch.no_grad():
            with watch_inputs(layers, see) as seen_as:
                read(self.rows)
            for name, first in seen_as.items():
                _start_from(layers[name], covariances[first] / rows[first])
        remember_start(tuned)


def _start_from(layer: Any, covariance_II: Tensor) -> None:  # Any: peft's layers are not typed
    """Move the part of a weight that matters most for inputs of this covariance into the matrices of its update."""
    from peft.tuners.lora.corda import CordaEigens, collect_eigens_for_layer

    from tuneoff.models.structure import get_sizes

    if not covariance_II.isfinite().all():  # peft would look for its inverse forever
        raise ValueError("the inputs of a layer are not finite on train, so CorDA cannot start from them")
    base, rank = layer.get_base_layer(), layer.r[ADAPTER]
    if rank > min(get_sizes(base)) or not covariance_II.any():
        return  # a thin layer that the recipe names, or inputs of zeros: it starts as in LoRA
    base.covariance_matrix = covariance_II
    found = collect_eigens_for_layer(base, None)
    del base.covariance_matrix
    base.eigens = CordaEigens(
        S_WC=found.S_WC[:rank].clone(),
        U_WC=found.U_WC[:, :rank].to(base.weight.device, copy=True),
        V_WC=found.V_WC[:, :rank].to(base.weight.device, copy=True),
    )
    layer.corda_init(ADAPTER, "corda")  # deletes them again
