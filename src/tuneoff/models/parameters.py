"""Count a model's parameters. A tensor that is used in two places counts once."""

from dataclasses import dataclass

from tuneoff.models.language_model import LanguageModel


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
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)


def _mask_numbers(name: str) -> str:
    """Return the name with `*` for numbers, and without the parts that a wrapper around the model adds to it."""
    own_name = name.removeprefix("base_model.model.").replace(".default", "")
    return ".".join("*" if part.isdigit() else part for part in own_name.split("."))
