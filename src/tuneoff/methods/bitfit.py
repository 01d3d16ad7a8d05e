"""BitFit trains only the biases. Source: Ben Zaken et al. 2022, arXiv:2106.10199."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.method import Rate
from tuneoff.methods.subset import Subset

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


@final
class BitFit(Subset):
    """Train every bias of the model. Models without biases, such as Llama, are refused.

    The learning rate is ten times that of full tuning (r-three/t-few: 3e-4 with Adafactor; PEFT's benchmark: no gain at
    1e-4).
    """

    name: ClassVar[str] = "bitfit"
    starts_as_base: ClassVar[bool] = True
    space: ClassVar[Space] = {"learning_rate": Range(low=1e-4, high=1e-2)}
    learning_rate: Rate = 1e-3

    def select_parameters(self, base: LanguageModel) -> Iterable[nn.Parameter]:
        biases = [parameter for name, parameter in base.named_parameters() if name.endswith("bias")]
        if not biases:
            raise ValueError("BitFit trains biases, and this model has none. layer-norm and ia3 are as small.")
        return biases

    def describe_for_peft(self, tuned: LanguageModel) -> PeftConfig | None:
        from peft import BeftConfig
        from torch import nn

        from tuneoff.models.structure import find_norms

        biased = [name for name, module in tuned.base.named_modules() if getattr(module, "bias", None) is not None]
        norms = [name for name in find_norms(tuned.base) if name in biased]
        linears = [name for name in biased if type(tuned.base.get_submodule(name)) is nn.Linear]
        if not linears or {*norms, *linears} != set(biased):
            return None
        return BeftConfig(task_type="CAUSAL_LM", target_modules=linears, modules_to_save=norms or None)
