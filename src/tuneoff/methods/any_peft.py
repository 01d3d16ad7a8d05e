"""Any other adapter that peft has, by the name of its type."""

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
    """`peft: {peft_type: LOHA, r: 4}` is any of peft's configs; keys beside ours are handed to it.

    What peft requires, or what its defaults get wrong for a model's shape, is worked out from the model where it is
    not written. Nothing is promised of the start: some types do not begin at the base model. The rates are the
    middle of what the other methods want; a type that wants more, such as C3A, needs a range of its own.
    """

    model_config = ConfigDict(extra="allow")

    name: ClassVar[str] = "peft"
    starts_as_base: ClassVar[bool] = False
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-4, high=1e-2)}
    learning_rate: Rate = 1e-3
    peft_type: str
    """The name of a type in peft, such as LOHA. All further keys are arguments of its config."""

    @property
    def arguments(self) -> Mapping[str, Any]:  # Any: whatever peft's config takes
        """What peft's config is given as it is written."""
        return self.model_extra or {}

    @property
    def context_tokens(self) -> int:
        tokens = self.arguments.get("num_virtual_tokens", TOKENS if self.peft_type in PROMPTS else 0)
        return int(tokens)

    @model_validator(mode="after")
    def _peft_has_it(self) -> Self:
        known = _load_configs()
        if self.peft_type not in known:
            raise ValueError(f"peft has no type {self.peft_type!r}.{suggest(self.peft_type, sorted(known))}")
        fields = [f.name for f in dataclasses.fields(known[self.peft_type])]
        for name in self.arguments:
            if name not in fields:
                raise ValueError(f"{self.peft_type} takes no {name!r}.{suggest(name, fields)}")
        return self

    def config(self, base: LanguageModel) -> PeftConfig:
        if self.peft_type == "XLORA" and not self.arguments.get("adapters"):
            raise ValueError("XLORA mixes LoRA adapters that are trained already. Name them: adapters: {name: folder}")
        needed = NEEDED.get(self.peft_type)
        worked_out = needed(base) if needed else {}
        config: PeftConfig = _load_configs()[self.peft_type](task_type="CAUSAL_LM", **{**worked_out, **self.arguments})
        return config


def _load_configs() -> Mapping[str, Any]:  # Any: dataclasses with arguments of their own
    """peft's config classes by the name of their type."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return {kind.value: config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


TOKENS = 12
PROMPTS = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CARTRIDGE", "CPT")
STEPS = 1000  # what AdaLoRA plans its ranks over; they stay as they start, since nobody tells it of a step


def _set_prompt_length(_: LanguageModel) -> dict[str, Any]:
    return {"num_virtual_tokens": TOKENS}


def _find_block_size(base: LanguageModel) -> int:
    """A size that divides every width of the model's linear layers."""
    return math.gcd(*{size for linear in base.linears().values() for size in linear.weight.shape})


NEEDED: Mapping[str, Callable[[LanguageModel], dict[str, Any]]] = {
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
    "LN_TUNING": lambda base: {"target_modules": base.norms()},
}
