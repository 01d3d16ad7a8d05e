"""The contract of an optimizer: it updates the parameters that require a gradient, at the rates of their groups.

Training, the check for memory and the report use an optimizer only through this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tuneoff.models.language_model import LanguageModel

OptimizerName = Literal["adamw", "adamw-8bit", "adamw-bf16", "adafactor", "lion", "muon", "apollo", "lora-fa", "lisa"]
ParameterGroups = Sequence[tuple[float, "list[nn.Parameter]"]]  # (multiple of the learning rate, its parameters)
Group = dict[str, Any]  # of torch's optimizers: `params` and their options
FLOAT_BYTES, BF16_BYTES = 4, 2


class Optimizer(ABC):
    """A way to update weights. Weight decay is decoupled from the gradient, and the learning rate is the schedule's."""

    name: ClassVar[OptimizerName]
    scale: ClassVar[Mapping[str, float]] = {}  # what a method's own default and range are multiplied by; AdamW's are 1
    by_element: ClassVar[bool] = False  # whether it can update the parts of a tensor that devices hold by themselves
    package: ClassVar[str | None] = None  # the module that it needs from the extra `optimizers`
    needs_bf16: ClassVar[bool] = False  # of the matrix products, because it holds weights in bf16

    def hold(self, model: LanguageModel) -> None:
        """Hold the trained weights as it updates them: in float32, as they are, unless an optimizer says otherwise."""
        return

    def create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        """Return what takes the steps. Its groups have the highest learning rates, each as `lr`.

        Args:
            model: what is trained.
            groups: all parameters that require a gradient, from `build_groups`.

        Raises:
            ValueError: it is not installed, or not for these parameters. The message has the cure.
        """
        if self.package and find_spec(self.package) is None:
            raise ValueError(
                f"its optimizer {self.name} needs the package {self.package}: pip install 'tuneoff[optimizers]'"
            )
        self.hold(model)
        return self._create(model, groups)

    @abstractmethod
    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer: ...

    @abstractmethod
    def count_state_bytes(self, model: LanguageModel) -> float:
        """Return the bytes that it keeps from step to step, up to a few for each tensor."""


def build_groups(groups: ParameterGroups, learning_rate: float, weight_decay: float) -> list[Group]:
    """Return groups of torch's optimizers, for parameters by multiple of the learning rate."""
    return [
        {"params": parameters, "lr": learning_rate * multiple, "weight_decay": weight_decay}
        for multiple, parameters in groups
    ]


def list_trained(model: LanguageModel) -> list[Tensor]:
    """Return the parameters that require a gradient."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
