"""The tables of methods and of groups. To add a method, write its file in this package and add its class to `METHODS`.

Nothing else names the methods. CONTRIBUTING.md says which generated files to update then.
"""

from collections.abc import Mapping
from typing import Any

from tuneoff.errors import RecipeError, suggest
from tuneoff.methods.adapter import Adapter
from tuneoff.methods.any_peft import AnyPeft
from tuneoff.methods.base import Base
from tuneoff.methods.base_few_shot import BaseFewShot
from tuneoff.methods.base_nearest_shots import BaseNearestShots
from tuneoff.methods.base_prompt import BasePrompt
from tuneoff.methods.bitfit import BitFit
from tuneoff.methods.corda import CorDA
from tuneoff.methods.dora import DoRA
from tuneoff.methods.eva import EVA
from tuneoff.methods.full import Full
from tuneoff.methods.ia3 import IA3
from tuneoff.methods.last_blocks import LastBlocks
from tuneoff.methods.last_layer import LastLayer
from tuneoff.methods.layer_norm import LayerNorm
from tuneoff.methods.lisa import LISA
from tuneoff.methods.lora import LoRA
from tuneoff.methods.lora_fa import LoRAFA
from tuneoff.methods.lora_plus import LoRAPlus
from tuneoff.methods.method import Method
from tuneoff.methods.olora import OLoRA
from tuneoff.methods.p_tuning import PTuning
from tuneoff.methods.pissa import PiSSA
from tuneoff.methods.prefix import Prefix
from tuneoff.methods.rslora import RSLoRA
from tuneoff.methods.soft_prompt import SoftPrompt

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Base,
        BasePrompt,
        BaseFewShot,
        BaseNearestShots,
        Full,
        LastLayer,
        LastBlocks,
        LISA,
        BitFit,
        LayerNorm,
        LoRA,
        LoRAPlus,
        LoRAFA,
        RSLoRA,
        DoRA,
        PiSSA,
        OLoRA,
        EVA,
        CorDA,
        IA3,
        Adapter,
        SoftPrompt,
        PTuning,
        Prefix,
        AnyPeft,
    )
}


# Names that stand for several methods in a recipe. Each group has the base model, without which no comparison says
# whether training helped. `all` has every method that needs no hyperparameter.
GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(n for n, m in METHODS.items() if not any(field.is_required() for field in m.model_fields.values())),
    "baselines": ("base", "base-prompt", "base-few-shot", "base-nearest-shots"),
    "cheap": ("base", "last-layer", "bitfit", "layer-norm", "ia3", "soft-prompt"),
    "subsets": ("base", "full", "last-layer", "last-blocks", "lisa", "bitfit", "layer-norm"),
    "lora-family": ("base", "lora", "lora-plus", "lora-fa", "rslora", "dora", "pissa", "olora", "eva", "corda"),
    "adapters": ("base", "lora", "dora", "ia3", "adapter"),
    "prompts": ("base", "soft-prompt", "p-tuning", "prefix"),
}


def expand_groups(methods: Mapping[str, Any]) -> dict[str, Any]:  # Any: what a user wrote
    """Return the methods of a recipe with each group replaced by its methods.

    What the recipe says about one of them takes precedence. A label with hyperparameters is never a group.
    """
    labels = (
        label for name, value in methods.items() for label in (GROUPS.get(name, (name,)) if value is None else (name,))
    )
    return {label: methods.get(label) for label in dict.fromkeys(labels)}


def get_method(name: str) -> type[Method]:
    """Return the class of the method with this name.

    Raises:
        RecipeError: there is no such method.
    """
    if name in METHODS:
        return METHODS[name]
    raise RecipeError(f"No method {name!r}.{suggest(name, [*METHODS, *GROUPS])}")


def read_method(label: str, value: Any) -> Method:  # Any: what a user wrote, before it is checked
    """Read the method that a recipe has under `label`. The key `method`, or else the label itself, is its name.

    Raises:
        RecipeError: there is no such method, or a hyperparameter does not fit.
    """
    if not isinstance(value, Mapping | None):
        raise RecipeError(f"methods.{label} is {value!r}. Write its hyperparameters, such as {{rank: 8}}, or nothing.")
    hyperparameters = dict(value or {})
    name = str(hyperparameters.pop("method", label))
    return get_method(name).read(hyperparameters, where=f"methods.{label}")


__all__ = ["GROUPS", "METHODS", "Method", "expand_groups", "get_method", "read_method"]
