"""What trained models change in a base model, in a form that applies to some rows of a batch and not to the others.

So rows of several trained models can go through one base model in one forward pass. A change belongs to a module of
the base model and sees its inputs and outputs for its own rows.

Shapes: B rows of the batch, N rows of one trained model, T positions, I inputs, O outputs, R rank, P positions of a
soft prompt, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from torch import Tensor, nn

from tuneoff.models.prefix_attention import Layers


class RowChange:
    """A change of one module. Each subclass changes the inputs, or the outputs, or is another module altogether."""

    changes_inputs: ClassVar[bool] = False
    replaces: ClassVar[bool] = False  # whether the module's own outputs are not needed

    def change_inputs(self, inputs_N: Tensor) -> Tensor:
        """Return what the module gets in place of its inputs, (N, T, I)."""
        return inputs_N

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        """Return what the module's outputs, (N, T, O), become. `replaces` says that they are not looked at."""
        return outputs_N

    def list_tensors(self) -> Iterator[Tensor]:
        """Yield the tensors that the change holds."""
        for value in vars(self).values():
            if isinstance(value, nn.Module):
                yield from value.parameters()
            elif isinstance(value, Tensor):
                yield value


@final
@dataclass(frozen=True)
class LowRank(RowChange):
    """Add the product of two thin matrices: LoRA."""

    down_RI: Tensor
    up_OR: Tensor  # with the scale
    bias_O: Tensor | None = None  # of the up-projection

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        return outputs_N + self.compute(inputs_N)

    def compute(self, inputs_N: Tensor) -> Tensor:
        """Return what is added."""
        return nn.functional.linear(nn.functional.linear(inputs_N, self.down_RI), self.up_OR, self.bias_O)


@final
@dataclass(frozen=True)
class Rescaled(RowChange):
    """Add the product of two thin matrices to a linear layer, and multiply each output but the bias: DoRA.

    Args:
        factor_O: the trained magnitude by the norm of the updated weight, which inference need not compute again.
        bias_O: of the linear layer.
    """

    update: LowRank
    factor_O: Tensor
    bias_O: Tensor | None

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        product_N = outputs_N if self.bias_O is None else outputs_N - self.bias_O
        product_N = self.factor_O * (product_N + self.update.compute(inputs_N))
        return product_N if self.bias_O is None else product_N + self.bias_O

    def list_tensors(self) -> Iterator[Tensor]:
        yield from super().list_tensors()
        yield from self.update.list_tensors()


@final
@dataclass(frozen=True)
class ScaledInputs(RowChange):
    """Multiply each input."""

    changes_inputs: ClassVar[bool] = True
    factor_I: Tensor

    def change_inputs(self, inputs_N: Tensor) -> Tensor:
        return inputs_N * self.factor_I


@final
@dataclass(frozen=True)
class ScaledOutputs(RowChange):
    """Multiply each output."""

    factor_O: Tensor

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        return outputs_N * self.factor_O


@final
@dataclass(frozen=True)
class Shifted(RowChange):
    """Add to each output: what a trained bias differs by."""

    shift_O: Tensor

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        return outputs_N + self.shift_O


@final
@dataclass(frozen=True)
class Followed(RowChange):
    """Add what a small module makes of the outputs: a bottleneck."""

    module: nn.Module

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        result: Tensor = outputs_N + self.module(outputs_N)
        return result


@final
@dataclass(frozen=True)
class Replaced(RowChange):
    """Use another module."""

    replaces: ClassVar[bool] = True
    module: nn.Module

    def change_outputs(self, inputs_N: Tensor, outputs_N: Tensor) -> Tensor:
        result: Tensor = self.module(inputs_N)
        return result


@dataclass(frozen=True, kw_only=True)
class RowChanges:
    """All that a trained model changes.

    Args:
        modules: by the full name of a module in transformers' own model.
        prompt_PD: vectors before the text.
        prefix: keys and values before the text, in every layer. The text sees them however far away they are.
    """

    modules: Mapping[str, RowChange] = field(default_factory=dict)
    prompt_PD: Tensor | None = None
    prefix: Layers | None = None

    def count_bytes(self, base: nn.Module) -> int:
        """Return the memory of what the base model does not have already."""
        known = {parameter.data_ptr() for parameter in base.parameters()}
        tensors = [tensor for change in self.modules.values() for tensor in change.list_tensors()]
        tensors += [tensor for pair in self.prefix or () for tensor in pair]
        own = {tensor.data_ptr(): tensor.nbytes for tensor in tensors if tensor.data_ptr() not in known}
        return sum(own.values())


def replace_owners(base: Any, tuned: Any) -> dict[str, RowChange]:  # Any: models of transformers
    """Return a replacement for each module of the base model whose own parameters another model has otherwise.

    A module of which only the bias is different is shifted, so that its weight is read once for all rows.

    Args:
        tuned: a model with the same modules, which shares the parameters that are not trained.
    """
    others = dict(tuned.named_modules())
    changes: dict[str, RowChange] = {}
    for name, module in base.named_modules():
        own = dict(module.named_parameters(recurse=False))
        trained = {
            key: parameter
            for key, parameter in others[name].named_parameters(recurse=False)
            if parameter.data_ptr() != own[key].data_ptr()
        }
        if trained.keys() == {"bias"} and own.keys() == {"weight", "bias"} and own["weight"].ndim == 2:
            changes[name] = Shifted(trained["bias"].data - own["bias"].data)
        elif trained:
            changes[name] = Replaced(others[name])
    return changes
