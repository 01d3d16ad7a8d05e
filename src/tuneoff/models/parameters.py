"""Count a model's parameters. A tensor that is used in two places counts once."""

from dataclasses import dataclass

from tuneoff.models.language_model import LanguageModel
from tuneoff.models.quantisation import count_bytes, count_elements


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Trainable tensors whose names differ only in the number of their layer."""

    name: str  # with `*` for the number
    tensors: int
    parameters: int


def group_trainable(model: LanguageModel) -> tuple[ParameterGroup, ...]:
    """Group the tensors that require a gradient, in the model's order."""
    sizes: dict[str, list[int]] = {}
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            sizes.setdefault(_mask_numbers(name), []).append(parameter.numel())
    return tuple(ParameterGroup(name=name, tensors=len(group), parameters=sum(group)) for name, group in sizes.items())


def count_parameters(model: LanguageModel) -> tuple[int, int]:
    """Return the number of trainable parameters and of all parameters."""
    parameters = list(model.parameters())
    trainable = sum(count_elements(p) for p in parameters if p.requires_grad)
    return trainable, sum(count_elements(p) for p in parameters)


def estimate_weight_bytes(model: LanguageModel) -> float:
    """Return the least bytes of a model in training: 4 for a trained parameter, the others as they are only read."""
    return sum(4 * p.numel() if p.requires_grad else count_bytes(p) for p in model.parameters())


def _mask_numbers(name: str) -> str:
    """Return the name with `*` for numbers, and without the parts that a wrapper around the model adds to it."""
    own_name = name.removeprefix("base_model.model.").replace(".default", "")
    return ".".join("*" if part.isdigit() else part for part in own_name.split("."))
