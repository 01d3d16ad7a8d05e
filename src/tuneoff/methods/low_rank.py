"""What LoRA and its variants share: low-rank updates of frozen weights, through peft."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tuneoff.config.limits import LARGEST_RANK
from tuneoff.config.search_space import Domain
from tuneoff.methods.peft_adapter import PeftAdapter
from tuneoff.optimizers import OptimizerName

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel

ADAPTER = "default"  # what peft calls an adapter that was given no name
SHARED_SPACE: Mapping[str, Domain] = {
    "rank": (4, 8, 16, 32),
    "alpha": (16.0, 32.0, 64.0),
    "dropout": (0.0, 0.05, 0.1),
    "modules": ("attention", "all-linear"),
}


class LowRank(PeftAdapter, ABC):
    """Two thin matrices for each adapted weight. A variant sets further arguments of peft's config."""

    starts_as_base: ClassVar[bool] = True
    optimizers: ClassVar[frozenset[OptimizerName]] = frozenset({"adamw", "adamw-8bit", "adafactor", "lion"})
    variant: ClassVar[Mapping[str, Any]] = {}  # Any: arguments of different types
    adapts_thin_layers: ClassVar[bool] = True  # False if an update cannot have a higher rank than the weight
    adapts_experts: ClassVar[bool] = True  # False if peft has no such update of experts that are held as one parameter
    rank: int = Field(8, ge=1, le=LARGEST_RANK)
    """Rank of each update: the width of its two matrices."""
    alpha: float = Field(32.0, gt=0)
    """Scale of the updates, before the division by the rank (rsLoRA: by its square root)."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the input of each update."""
    modules: Literal["default", "attention", "all-linear"] | tuple[str, ...] = "all-linear"
    """Which modules to adapt: `default` (peft's choice for the architecture), `attention` (its linear layers),
    `all-linear` (every linear layer except the head), or a list of the endings of module names."""

    experts: bool = Field(False, exclude_if=lambda experts: not experts)
    """Adapt also the experts of a mixture that are held as one parameter, as those of GPT-OSS are. Those of Mixtral,
    Qwen3-MoE and others that had linear layers once are part of `all-linear`."""

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import LoraConfig

        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self._choose_target_modules(base),
            target_parameters=self._choose_target_parameters(base),
            **self.variant,
        )

    def _choose_target_parameters(self, base: LanguageModel) -> list[str] | None:
        """Return the experts that are held as one parameter, if they are to be adapted.

        Raises:
            ValueError: they cannot be.
        """
        from tuneoff.models.structure import find_experts_in_one_parameter

        if not self.experts:
            return None
        if not self.adapts_experts:
            raise ValueError(f"peft has no {self.name} for experts that are held as one parameter: write lora")
        if _finds_experts(base):
            raise ValueError("its experts are part of modules: all-linear, so leave experts out")
        if self.dropout:
            raise ValueError("experts that are held as one parameter have no input to drop: write dropout: 0.0")
        experts = find_experts_in_one_parameter(base.base)
        if not experts:
            raise ValueError("the model has no experts that are held as one parameter: leave experts out")
        return experts

    def _choose_target_modules(self, base: LanguageModel) -> Any:  # Any: peft takes None, a string or a list
        from tuneoff.models.structure import (
            find_adaptable_linears,
            find_attention_linears,
            get_sizes,
            holds_experts_as_one_parameter,
            is_in_mlp,
        )

        if self.modules == "default":
            return None
        if isinstance(self.modules, tuple):
            return list(self.modules)
        adaptable, others = find_adaptable_linears(base.base)
        if not self.adapts_thin_layers:
            ranks = {name: min(get_sizes(base.base.get_submodule(name))) for name in adaptable}
            others = [*others, *(name for name in adaptable if ranks[name] < self.rank)]
            adaptable = [name for name in adaptable if ranks[name] >= self.rank]
        if self.modules == "attention":
            names = [name for name in find_attention_linears(base.base) if name in set(adaptable)]
            if not names:
                raise ValueError("the model has no linear layers in attention modules: write modules: all-linear")
            return names
        if not self.adapts_experts and holds_experts_as_one_parameter(base.base):
            # peft takes the names of layers in any MLP of such a model for those of the experts
            return [name for name in adaptable if not is_in_mlp(name)]
        return adaptable if others else "all-linear"


def find_low_rank_layers(tuned: LanguageModel) -> dict[str, Any]:  # Any: peft's layers are not typed
    """Return the linear layers with a low-rank update, as peft wraps them, by full name."""
    from peft.tuners.lora.layer import LoraLayer

    from tuneoff.models.structure import is_linear

    return {
        name: module
        for name, module in tuned.network.named_modules()
        if isinstance(module, LoraLayer) and ADAPTER in module.lora_A and is_linear(module.get_base_layer())
    }


def _finds_experts(base: LanguageModel) -> bool:
    """Return whether peft takes the names of an architecture's former linear layers for those of its experts."""
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    config = LoraConfig(target_modules="all-linear")
    convert_peft_config_for_transformers(config, base.network, None)
    return bool(config.target_parameters)
