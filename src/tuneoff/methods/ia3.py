"""IA3 rescales keys, values and hidden units. Source: Liu et al. 2022, arXiv:2205.05638, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import PeftAdapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class IA3(PeftAdapter):
    """Train one factor for each output of a few projections. The factors start at one and merge into the weights.

    In PEFT's benchmark, learning rates from 2e-3 to 5e-3 are equally good and 1e-4 is far worse. peft chooses the
    projections by architecture. Where it knows no choice, they are the keys, the values and the inner layers of MLPs.
    """

    name: ClassVar[str] = "ia3"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-4, high=2e-2)}
    learning_rate: Rate = 3e-3

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from peft import IA3Config
        from peft.utils import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as KNOWN

        from tuneoff.models.structure import find_down_projections, find_keys_and_values

        if base.base.config.model_type in KNOWN:
            return IA3Config(task_type="CAUSAL_LM")
        inner, attended = find_down_projections(base.base), find_keys_and_values(base.base)
        if not inner and not attended:
            raise ValueError("the model has no linear layers for keys and values, and no MLPs, that IA3 could rescale")
        return IA3Config(task_type="CAUSAL_LM", target_modules=[*attended, *inner], feedforward_modules=inner)
