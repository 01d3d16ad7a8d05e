"""What adapters of peft change, in a form that applies to some rows of a batch and not to the others.

peft itself mixes adapters in a batch only for LoRA without variants. A layer of another type that is no LoRA and no IA3
is used as it is, for its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuneoff.models.row_changes import LowRank, Replaced, Rescaled, RowChange, RowChanges, ScaledInputs, ScaledOutputs

if TYPE_CHECKING:
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel


def find_row_changes(tuned: LanguageModel) -> RowChanges | None:
    """Return what an adapter changes; None if it is in peft's own forward pass."""
    if tuned.outer_adapter is None or tuned.outer_adapter.needs_own_generate:
        return None
    prompt_PD = tuned.compute_prompt()
    if prompt_PD is not None:
        return RowChanges(prompt_PD=prompt_PD.detach().to(tuned.base.get_input_embeddings().weight.dtype))
    return RowChanges(modules=_find_modules(tuned.base))


def _find_modules(network: Any) -> dict[str, RowChange]:
    """Return the changes by the names of the modules around which peft put its layers."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    changes: dict[str, RowChange] = {}
    for name, module in network.named_modules():
        is_inside = any(name.startswith(f"{outer}.") for outer in changes)
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper) and not is_inside:
            changes[name] = _convert(module)
    return changes


def _convert(layer: Any) -> RowChange:
    from peft.tuners.ia3.layer import Linear as IA3Linear
    from peft.tuners.lora.dora import DoraLinearLayer
    from peft.tuners.lora.layer import Linear as LoraLinear

    adapters = list(getattr(layer, "active_adapters", ()))
    if len(adapters) == 1 and type(layer) is IA3Linear:
        factor = layer.ia3_l[adapters[0]].detach().flatten()
        return ScaledInputs(factor) if layer.is_feedforward else ScaledOutputs(factor)
    if len(adapters) == 1 and type(layer) is LoraLinear:
        update = _convert_update(layer, adapters[0])
        if adapters[0] not in layer.lora_variant:
            return update
        magnitude: Any = dict(layer.lora_magnitude_vector).get(adapters[0])
        if type(magnitude) is DoraLinearLayer:
            return Rescaled(update, _compute_factor(layer, update, magnitude.weight), layer.base_layer.bias)
    return Replaced(layer)


def _convert_update(layer: Any, adapter: str) -> LowRank:
    down, up, scale = layer.lora_A[adapter], layer.lora_B[adapter], layer.scaling[adapter]
    bias: Tensor | None = None if up.bias is None else up.bias.detach() * scale
    return LowRank(down.weight.detach(), up.weight.detach() * scale, bias)


def _compute_factor(layer: Any, update: LowRank, magnitude_O: Tensor) -> Tensor:
    """Return DoRA's magnitude by the norm of each row of the updated weight."""
    weight = layer.base_layer.weight.detach()
    weight_OI = weight.T if layer.fan_in_fan_out else weight
    norm_O = (weight_OI + update.up_OR @ update.down_RI).norm(dim=1)
    factor_O: Tensor = magnitude_O.detach() / norm_O
    return factor_O
