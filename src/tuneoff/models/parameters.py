"""Which of a model's parameters are trained, and how many; a shared tensor counts once."""

from dataclasses import dataclass

from tuneoff.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """A group of trainable tensors that differ in their layer's number only."""

    name: str  # with `*` for the number
    tensors: int
    parameters: int


def group_trainable(model: LanguageModel) -> tuple[ParameterGroup, ...]:
    """What of a model requires a gradient, in the model's order; a shared tensor counts once."""
    groups: dict[str, list[int]] = {}
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(_mask_numbers(name), []).append(parameter.numel())
    return tuple(ParameterGroup(name=n, tensors=len(sizes), parameters=sum(sizes)) for n, sizes in groups.items())


def count_parameters(model: LanguageModel) -> tuple[int, int]:
    """Trainable and all parameters; a shared tensor counts once."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)


def _mask_numbers(name: str) -> str:
    own = name.removeprefix("base_model.model.").replace(".default", "")  # peft's wrapping says nothing of the module
    return ".".join("*" if part.isdigit() else part for part in own.split("."))
