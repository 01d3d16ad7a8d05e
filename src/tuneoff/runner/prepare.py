"""What all trials of a comparison share: the model's files, the tokenised text, and the setting they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tuneoff.config.model import ModelOptions
from tuneoff.config.search_space import Range
from tuneoff.data import TextData, load_text
from tuneoff.data.unrelated_text import load_unrelated_text
from tuneoff.errors import RecipeError
from tuneoff.models.compilation import require_compiler
from tuneoff.models.loading import build_empty_model, load_model, load_tokenizer
from tuneoff.models.precision import resolve_precision
from tuneoff.models.sources import Source, find_source
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Setting
from tuneoff.system.environment import get_numeric_versions, get_processor_name

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from tuneoff.methods import Method
    from tuneoff.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The shared part of a comparison, ready to run trials on."""

    recipe: Recipe
    source: Source
    tokenizer: Any  # transformers' tokenizers share no type
    text: TextData
    setting: Setting
    device: torch.device

    @cached_property
    def unrelated(self) -> Dataset:
        """Passages of text that has nothing to do with the data."""
        return load_unrelated_text(
            self.tokenizer, self.setting.evaluation.unrelated_passages, self.setting.data.max_tokens
        )

    def load_base(self) -> LanguageModel:
        """A fresh base model on the CPU, in its checkpoint's precision."""
        return load_model(self.source, self.recipe.model, self.tokenizer)


def prepare(recipe: Recipe) -> Preparation:
    """Find the model, read and tokenise the text, and try every method on the model's outline.

    All that a user may have got wrong shows here, before a run directory is made or a weight is loaded.

    Raises:
        DataError, ModelError, RecipeError: what was wrong, and its cure.
    """
    source = find_source(recipe.model)
    tokenizer = load_tokenizer(source, recipe.model)
    for _ in fit_methods(recipe.methods, recipe.model, source, tokenizer):
        pass
    _require_positions(recipe, source)
    device = _choose_device(recipe)
    if recipe.training.compile:
        require_compiler(device)
    text = load_text(recipe.data, tokenizer)
    setting = Setting(
        model=recipe.model,
        model_fingerprint=source.fingerprint,
        data=recipe.data,
        data_fingerprint=text.summary.fingerprint,
        training=recipe.training,
        evaluation=recipe.evaluation,
        precision=resolve_precision(recipe.model.precision, device),
        device=_get_device_name(device),
        versions=get_numeric_versions(),
    )
    return Preparation(recipe=recipe, source=source, tokenizer=tokenizer, text=text, setting=setting, device=device)


def fit_methods(
    methods: Mapping[str, Method], options: ModelOptions, source: Source, tokenizer: Any
) -> Iterator[tuple[str, LanguageModel]]:
    """Each method by its label, applied to the model's shape without its weights.

    Raises:
        RecipeError: a method does not fit this model.
    """
    for label, method in methods.items():
        shape = build_empty_model(source, options, tokenizer)
        try:
            tuned = method.apply(shape)
        except (ValueError, KeyError, TypeError, OSError, AttributeError, ZeroDivisionError) as error:
            raise RecipeError(f"methods.{label} does not fit {options.name}: {error}") from error
        yield label, tuned


def _require_positions(recipe: Recipe, source: Source) -> None:
    """Refuse lengths that the model has no positions for; a GPU would only say so by breaking down."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source.folder, trust_remote_code=recipe.model.trust_remote_code)
    positions = getattr(config, "max_position_embeddings", None)
    written = recipe.evaluation.generation.max_new_tokens or recipe.data.max_target_tokens
    taken = max(_count_context_tokens(recipe, label) for label in recipe.methods)
    needed = recipe.data.max_tokens + max(0, written - recipe.data.max_target_tokens) + taken
    if positions is not None and needed > positions:
        methods = f" and the {taken} that a method takes" if taken else ""
        raise RecipeError(
            f"data.max_tokens asks for {needed} positions with what is generated{methods}; {recipe.model.name} has "
            f"{positions}. Lower data.max_tokens or evaluation.generation.max_new_tokens."
        )


def _count_context_tokens(recipe: Recipe, label: str) -> int:
    """Positions that a method takes away from the text at most, wherever a search goes."""
    tried = [recipe.methods[label]]
    for knob, values in recipe.get_space(label).items():
        ends = (values.low, values.high) if isinstance(values, Range) else values
        tried += [recipe.configure(label, {knob: value}) for value in ends]
    return max(method.context_tokens for method in tried)


def _choose_device(recipe: Recipe) -> torch.device:
    import torch

    wanted = recipe.model.device
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"model.device is {wanted!r}, which this machine does not have. Write auto or cpu.")
    return torch.device(wanted)


def _get_device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{get_processor_name()}, {torch.get_num_threads()} threads"
