"""Trained modules as an adapter of peft: copies that take the place of the base model's.

peft's LN tuning does this for norms. It copies any module, so it also fits a head or the layers of a block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


def describe_copies(tuned: LanguageModel, modules: Iterable[nn.Module]) -> PeftConfig | None:
    """Return the config of an adapter with copies of those of the modules that own parameters.

    None if one of them has modules of its own, which would be copied twice.
    """
    from peft import LNTuningConfig

    owners = {id(module) for module in modules if any(True for _ in module.parameters(recurse=False))}
    named = {name: module for name, module in tuned.base.named_modules() if id(module) in owners}
    if any(any(True for _ in module.children()) for module in named.values()):
        return None
    return LNTuningConfig(task_type="CAUSAL_LM", target_modules=list(named))


def fill_adapter(network: nn.Module, tuned: LanguageModel) -> None:
    """Give a new adapter of peft around the base model what was trained.

    Args:
        network: transformers' model with peft's layers in it, untrained.
    """
    import torch
    from peft.tuners.beft.layer import BeftLayer
    from peft.tuners.ln_tuning.layer import LNTuningLayer
    from peft.utils import ModulesToSaveWrapper

    with torch.no_grad():
        for name, module in list(network.named_modules()):
            if isinstance(module, LNTuningLayer):
                module.ln_tuning_layers["default"].load_state_dict(tuned.base.get_submodule(name).state_dict())
            elif isinstance(module, ModulesToSaveWrapper):
                module.modules_to_save["default"].load_state_dict(tuned.base.get_submodule(name).state_dict())
            elif isinstance(module, BeftLayer):
                bias = tuned.base.get_submodule(name).bias - module.get_base_layer().bias
                module.beft_bias["default"].copy_(bias[None])
