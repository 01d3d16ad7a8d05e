"""The contract of a method: it turns a base model into one whose trainable parameters are exactly those it tunes.

Training, measurement and the report use a method only through this interface. To add a method, write its file in this
package and add its class to the table in `tuneoff.methods`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, final

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from tuneoff.config.base import Options
from tuneoff.config.search_space import Domain, Range, Space, round_number
from tuneoff.optimizers import OPTIMIZERS, OptimizerName

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from tuneoff.config.data import DataOptions
    from tuneoff.data import TextData
    from tuneoff.data.other_prompts import PromptWriter
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.row_changes import RowChanges

    GetText = Callable[[], TextData]
    ReadTrain = Callable[[int], None]  # lets the model read that many rows of train, one at a time


Rate = Annotated[
    float, Field(gt=0, allow_inf_nan=False, description="The learning rate, after warm-up and before any decay.")
]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False, description="The weight decay, decoupled from the gradient.")]
ADAMW: OptimizerName = "adamw"


class Method(Options, ABC):
    """A way to tune a model. Its fields are its hyperparameters; each method documents where its defaults come from."""

    name: ClassVar[str]
    starts_as_base: ClassVar[bool]  # whether the logits before the first step are those of the base model
    depends_on_seed: ClassVar[bool] = True
    trains: ClassVar[bool] = True  # False for the base model, however it is asked
    is_base: ClassVar[bool] = False  # True for the base model with the recipe's prompt, the reference of a comparison
    changes_prompts: ClassVar[bool] = False  # whether it has prompts of its own
    is_tried_on_codes: ClassVar[bool] = (
        False  # whether only a step with weights shows that it can train a quantised base
    )
    reads_train: ClassVar[bool] = False  # whether its first values depend on train; see `set_start`
    of_optimizer: ClassVar[frozenset[str]] = frozenset({"learning_rate", "weight_decay"})  # change nothing of the model
    optimizers: ClassVar[frozenset[OptimizerName]] = frozenset({ADAMW})  # that can train it
    space: ClassVar[Space]  # the default search space with AdamW; empty if there is nothing to search

    optimizer: OptimizerName = Field(ADAMW, exclude_if=lambda name: name == ADAMW)
    """What updates the weights. Another one multiplies the default learning rates and weight decays."""
    learning_rate: Rate
    weight_decay: Decay = 0.0

    @model_validator(mode="wrap")
    @classmethod
    def _take_optimizer(cls, values: Any, read: ModelWrapValidatorHandler[Self]) -> Self:  # Any: unchecked user input
        """Check the optimizer, and multiply the defaults that nobody has set by its scale.

        Raises:
            ValueError: the method cannot be trained with it.
        """
        method = read(values)
        if isinstance(values, Method):
            return method
        if method.optimizer not in cls.optimizers:
            known = ", ".join(name for name in OPTIMIZERS if name in cls.optimizers)
            raise ValueError(f"{cls.name} is not trained with {method.optimizer}. Its optimizers are: {known}")
        for name, multiple in OPTIMIZERS[method.optimizer].scale.items():
            if name not in method.model_fields_set:
                vars(method)[name] = round_number(vars(method)[name] * multiple)
        return method

    @property
    def default_space(self) -> Space:
        """The default search space with the method's optimizer."""
        scale = OPTIMIZERS[self.optimizer].scale
        return {name: _multiply(domain, scale.get(name, 1.0)) for name, domain in self.space.items()}

    @abstractmethod
    def apply(self, base: LanguageModel) -> LanguageModel:
        """Return a model in which exactly the parameters that this method tunes require a gradient.

        The base model is modified and must not be used again. Random initialization draws from torch's default
        generator, which the caller seeds.

        Raises:
            ValueError: the method does not fit the model.
        """

    def set_start(self, tuned: LanguageModel, read: ReadTrain) -> None:
        """Set what is trained to first values that depend on train. Only called if `reads_train`.

        A training that is resumed does it again, so the values may depend on nothing else.

        Args:
            tuned: from `apply`, held for training and on its device.
            read: lets the model read some rows of train, without gradients and as in an evaluation.
        """

    @abstractmethod
    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """Write what was trained to `folder`, as far as possible in the format of peft or transformers."""

    @abstractmethod
    def load(self, base: LanguageModel, folder: Path) -> LanguageModel:
        """Return a new base model with what `save` wrote. It is used for inference, not for further training."""

    def make_prompts(self, options: DataOptions, tokenizer: Any, get_text: GetText, seed: int) -> PromptWriter:
        """Return how the model is asked: with the recipe's prompts, unless the method has its own.

        Args:
            options: of the recipe.
            get_text: returns the run's text; it may take long.

        Raises:
            DataError: the method's prompts do not fit the data.
        """
        from tuneoff.data.other_prompts import RecipePrompts

        return RecipePrompts(options, tokenizer)

    @final
    def present(self, text: TextData, tokenizer: Any, seed: int) -> TextData:
        """Return the text as the model reads it.

        Raises:
            DataError: the method's prompts do not fit the data.
        """
        if not self.changes_prompts:
            return text
        return self.make_prompts(text.options, tokenizer, lambda: text, seed).present(text)

    def describe_for_peft(self, tuned: LanguageModel) -> PeftConfig | None:
        """Return the config of peft's adapter that can contain what `save` stores in another form.

        Its modules are copies of the tuned model's, or biases beside those of the base model. None if peft has no such
        adapter, or if `save` writes one.
        """
        return None

    def parameter_groups(self, tuned: LanguageModel) -> list[tuple[float, list[nn.Parameter]]]:
        """Return the trainable parameters in groups, each with its multiple of the learning rate."""
        return [(1.0, [p for p in tuned.parameters() if p.requires_grad])]

    @property
    def context_tokens(self) -> int:
        """The number of positions in the model's context that the method uses and the text cannot."""
        return 0

    def merge(self, tuned: LanguageModel) -> LanguageModel:
        """Return the model as it would be served, with the adapter merged into the weights if possible."""
        return tuned

    def find_row_changes(self, base: LanguageModel, tuned: LanguageModel) -> RowChanges | None:
        """Return what was trained in a form that applies to some rows of a batch, for a server of several models.

        Args:
            base: the base model.
            tuned: from `load`, with what was not trained shared with the base model.

        Returns:
            None if there is no such form, so that the model needs batches of its own.
        """
        return None


def _multiply(domain: Domain, multiple: float) -> Domain:
    if multiple == 1.0:
        return domain
    if isinstance(domain, Range):
        return domain.multiply(multiple)
    return tuple(round_number(value * multiple) for value in domain)
