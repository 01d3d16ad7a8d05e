"""Any other adapter of peft, chosen by the name of its type."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from pydantic import ConfigDict, model_validator

from tuneoff.config.search_space import Range, Space
from tuneoff.errors import suggest
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class AnyPeft(PeftAdapter):
    """`peft: {peft_type: LOHA, r: 4}` builds an adapter from any of peft's configs; other keys are passed to it.

    Required arguments, and arguments whose defaults do not fit the model's shape, are derived from the model unless
    the recipe sets them. Some types do not start as the base model. The default learning rates are in the middle of
    those of the other methods; a type that needs a higher one, such as C3A, needs its own range.
    """

    model_config = ConfigDict(extra="allow")

    name: ClassVar[str] = "peft"
    is_tried_on_codes: ClassVar[bool] = True
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-4, high=1e-2)}
    learning_rate: Rate = 1e-3
    peft_type: str
    """The name of a type in peft, such as LOHA. All further keys are arguments of its config."""

    @property
    def arguments(self) -> Mapping[str, Any]:  # Any: whatever peft's config takes
        """The arguments that are passed to peft's config."""
        return self.model_extra or {}

    @property
    def context_tokens(self) -> int:
        tokens = self.arguments.get("num_virtual_tokens", TOKENS if self.peft_type in PROMPTS else 0)
        return int(tokens)

    @model_validator(mode="after")
    def _require_known_type_and_arguments(self) -> Self:
        configs = _get_config_classes()
        if self.peft_type not in configs:
            raise ValueError(f"peft has no type {self.peft_type!r}.{suggest(self.peft_type, sorted(configs))}")
        fields = [f.name for f in dataclasses.fields(configs[self.peft_type])]
        for name in self.arguments:
            if name not in fields:
                raise ValueError(f"{self.peft_type} takes no {name!r}.{suggest(name, fields)}")
        return self

    def make_config(self, base: LanguageModel) -> PeftConfig:
        if self.peft_type == "XLORA" and not self.arguments.get("adapters"):
            raise ValueError("XLORA mixes LoRA adapters that are trained already. Name them: adapters: {name: folder}")
        derive = DERIVED.get(self.peft_type)
        arguments = {**(derive(base) if derive else {}), **self.arguments}
        config: PeftConfig = _get_config_classes()[self.peft_type](task_type="CAUSAL_LM", **arguments)
        return config


def _get_config_classes() -> Mapping[str, Any]:  # Any: dataclasses with different arguments
    """Return peft's config classes by the name of their type."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return {peft_type.value: config for peft_type, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


TOKENS = 12
PROMPTS = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CARTRIDGE", "CPT")
STEPS = 1000  # over which AdaLoRA plans its ranks; they keep their first values, since peft is not called at each step


def _set_prompt_length(_: LanguageModel) -> dict[str, Any]:
    return {"num_virtual_tokens": TOKENS}


def _find_block_size(base: LanguageModel) -> int:
    """Return a size that divides every width of the model's linear layers."""
    from tuneoff.models.structure import find_linears, get_sizes

    return math.gcd(*{size for linear in find_linears(base.base).values() for size in get_sizes(linear)})


def _name_norms(base: LanguageModel) -> dict[str, Any]:
    from tuneoff.models.structure import find_norms

    return {"target_modules": find_norms(base.base)}


DERIVED: Mapping[str, Callable[[LanguageModel], dict[str, Any]]] = {
    "PROMPT_TUNING": _set_prompt_length,
    "P_TUNING": _set_prompt_length,
    "PREFIX_TUNING": _set_prompt_length,
    "CARTRIDGE": _set_prompt_length,
    "MULTITASK_PROMPT_TUNING": lambda _: {"num_virtual_tokens": TOKENS, "num_tasks": 1},
    "CPT": lambda base: {"cpt_token_ids": base.tokenizer("Summary: " * TOKENS)["input_ids"][:TOKENS]},
    "ADAPTION_PROMPT": lambda base: {"adapter_len": TOKENS, "adapter_layers": len(base.blocks)},
    "ADALORA": lambda _: {"total_step": STEPS},
    "C3A": lambda base: {"block_size": _find_block_size(base)},
    "VBLORA": lambda base: {"vector_length": _find_block_size(base)},
    "LN_TUNING": _name_norms,
}
