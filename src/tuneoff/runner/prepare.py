"""Prepare what all trials of a comparison share: the model's files, the tokenized text, and the setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.config.search_space import Range
from tuneoff.data import TextData, count_scored, count_tokens, load_text
from tuneoff.data.prompt import Encoder
from tuneoff.data.unrelated_text import load_unrelated_text
from tuneoff.errors import DataError, RecipeError
from tuneoff.evaluation.benchmarks import Benchmarks, load_benchmarks
from tuneoff.evaluation.labels import LabelSet, find_labels
from tuneoff.metrics import Answer
from tuneoff.metrics.scoring import score_answers
from tuneoff.models.compilation import require_compiler
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import resolve_precision
from tuneoff.models.quantisation import get_quantisation_kind
from tuneoff.models.rope import count_positions, count_stable_positions
from tuneoff.models.sources import Source, find_source
from tuneoff.recipe.recipe import Recipe, cut_spaces, drop_methods
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.devices import choose_device, get_device_name, require_room_to_evaluate
from tuneoff.runner.fit import MethodFit, fit_methods, require_any_fit
from tuneoff.runtime.followers import Followers
from tuneoff.system.checksums import find_damaged_files
from tuneoff.system.environment import get_kernel_level, get_numeric_versions
from tuneoff.system.watch import Watch

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from tuneoff.methods import Method
    from tuneoff.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What every trial of a comparison needs besides its method and seed."""

    recipe: Recipe  # without the methods that do not fit the model
    source: Source
    tokenizer: Any  # transformers' tokenizers share no type
    text: TextData
    setting: Setting
    device: torch.device
    fit: MethodFit
    labels: LabelSet | None = None  # that predictions are chosen from; None: predictions are free text
    benchmarks: Benchmarks | None = None
    watches: tuple[Watch, ...] = ()  # over the files that trials read
    followers: Followers = field(
        default_factory=Followers
    )  # of trials on several devices; whoever runs trials ends them
    # what of the setting is different on this machine, if the run began on another one
    elsewhere: Mapping[str, str | None] = field(default_factory=dict)

    def require_unchanged(self) -> None:
        """Check that the base model and the tokens are as the setting says.

        Raises:
            RunError: a file has changed.
        """
        for watch in self.watches:
            watch.require_unchanged()

    @cached_property
    def unrelated_text(self) -> Dataset:
        """Passages of text that is unrelated to the data."""
        return load_unrelated_text(
            self.tokenizer, self.setting.evaluation.unrelated_passages, self.setting.data.max_tokens
        )

    def present_text(self, trial: Trial, method: Method) -> TextData:
        """Return the text of a trial: a replicate has its own train sample, and a method may have its own prompts.

        Raises:
            DataError: the method's prompts do not fit the data.
        """
        sample = trial.train_sample
        text = self.text if sample is None else replace(self.text, train=self.text.train_samples[sample])
        return method.present(text, self.tokenizer, trial.seed)

    def find_labels(self, text: TextData) -> LabelSet | None:
        """Return the labels that predictions are chosen from, as they follow the prompts of this text."""
        if text.options == self.text.options:
            return self.labels
        return find_labels(self.setting.evaluation, text.train, Encoder(text.options, self.tokenizer).encode)

    def load_base(self) -> LanguageModel:
        """Load a new base model on the CPU, in its checkpoint's precision."""
        return load_model(self.source, self.recipe.model, self.tokenizer)

    def begin_followers(self, method: Method, seed: int) -> Followers:
        """Tell the followers of this process to build a trial's model, while this process builds its own.

        Returns:
            Those that take part: none with one device, or for a method that trains nothing.
        """
        import torch

        if self.followers.devices == 1 or not method.trains:
            return Followers()
        values = {
            "model": self.recipe.model.model_dump(mode="json"),
            "folder": str(self.source.folder.absolute()),
            "known_as": self.source.known_as,
            "fingerprint": self.source.fingerprint,
            "method": method.name,
            "hyperparameters": method.model_dump(mode="json"),
            "seed": seed,
            "precision": self.setting.precision,
            "device": self.device.type,
            "threads": max(1, torch.get_num_threads() // self.followers.devices),
        }
        self.followers.send("build", values)
        return self.followers


def prepare(recipe: Recipe) -> Preparation:
    """Find the model, read and tokenize the text, and apply every method to the model's shape.

    Mistakes in a recipe are found here, before a run directory is created or any weights are loaded. Methods that do
    not fit the model are left out of the recipe.

    Raises:
        DataError, ModelError, RecipeError: with the mistake and how to fix it.
    """
    source = find_source(recipe.model)
    model_watch = _watch_model(source)
    tokenizer = load_tokenizer(source, recipe.model)
    device = choose_device(recipe)
    precision = resolve_precision(recipe.model.precision, device)
    fit = fit_methods(recipe, source, tokenizer, precision)
    require_any_fit(fit, recipe.methods, recipe.model.name, strict=recipe.strict)
    recipe = cut_spaces(drop_methods(recipe, fit.misfits), fit.spaces)
    _require_positions(recipe, source)
    if recipe.training.compile:
        require_compiler(device)
    text = load_text(recipe.data, tokenizer, recipe.seeds if recipe.replicates else ())
    unfit = _find_unfit_prompts(recipe, source, text, tokenizer)
    fit = replace(fit, misfits={**fit.misfits, **unfit})
    recipe = drop_methods(recipe, unfit)
    recipe = recipe.choose_metrics(text.summary.task, list_references(text.test))
    _try_metrics(recipe, text.test)
    labels = find_labels(recipe.evaluation, text.train, Encoder(text.options, tokenizer).encode)
    benchmarks = load_benchmarks(recipe.evaluation.benchmarks, tokenizer) if recipe.evaluation.benchmarks else None
    setting = Setting(
        model=recipe.model,
        model_fingerprint=source.fingerprint,
        data=text.options,
        data_fingerprint=text.summary.fingerprint,
        training=recipe.training,
        evaluation=recipe.evaluation,
        precision=precision,
        device=get_device_name(device),
        kernels=get_kernel_level() if device.type == "cpu" else None,
        versions=get_numeric_versions(*(["bitsandbytes"] if _uses_bitsandbytes(recipe, source) else [])),
        benchmarks=benchmarks.fingerprints if benchmarks else None,
    )
    if recipe.training.shard:
        require_room_to_evaluate((total for _, total in fit.parameters.values()), setting.precision, device)
    return Preparation(
        recipe=recipe,
        source=source,
        tokenizer=tokenizer,
        text=text,
        setting=setting,
        device=device,
        fit=fit,
        labels=labels,
        benchmarks=benchmarks,
        watches=(model_watch, _watch_tokens(text)),
        followers=Followers(recipe.training.devices, device.type, in_step=recipe.training.shard),
    )


def _watch_model(source: Source) -> Watch:
    compute = source.compute_fingerprint
    return Watch("the base model", source.files, compute and (lambda: compute() == source.fingerprint))


def _watch_tokens(text: TextData) -> Watch:
    """Watch the files that the splits are mapped to. Their checksums are beside them."""
    splits = [text.train, text.validation, text.test, *text.train_samples.values()]
    files = {Path(part["filename"]) for split in splits for part in split.cache_files}
    folders = {file.parent for file in files}
    return Watch(
        "the tokens of the data",
        sorted(files),
        lambda: not any(find_damaged_files(folder, required=("tokens.arrow",)) for folder in folders),
        may_vanish=True,
    )


def _try_metrics(recipe: Recipe, test: Dataset) -> None:
    """Score the first reference by each function and model that the user names, so that a mistake is found before any
    training.

    Raises:
        MetricError, ModelError: one of them fails.
    """
    tried = [metric for metric in recipe.metric_table.values() if metric.is_tried]
    first, *_ = list_references(test.select([0]))
    row = json.loads(test["row"][0])
    score_answers(tried, [Answer(prediction=first, references=(first,), source=test["source"][0], row=row)])


def list_references(split: Dataset) -> list[str]:
    """Return every accepted answer of a split."""
    columns = zip(split["target"], split["references"], strict=True)
    return [reference for target, references in columns for reference in references or [target]]


def _require_positions(recipe: Recipe, source: Source) -> None:
    """Refuse lengths that the model has no positions for. On a GPU they would crash without a clear message."""
    config = _read_config(recipe, source)
    positions = count_positions(config)
    new_tokens = recipe.evaluation.generation.max_new_tokens or recipe.data.max_target_tokens
    context_tokens = max(_count_context_tokens(recipe, label) for label in recipe.methods)
    needed = recipe.data.max_tokens + max(0, new_tokens - recipe.data.max_target_tokens) + context_tokens
    if positions is not None and needed > positions:
        methods = f" and the {context_tokens} context tokens of a method" if context_tokens else ""
        stable = count_stable_positions(config)
        beyond = (
            " beyond which its rotary embeddings would depend on the other rows of a batch"
            if stable == positions
            else ""
        )
        raise RecipeError(
            f"data.max_tokens, with the generated tokens{methods}, needs {needed} positions, but {recipe.model.name} "
            f"has {positions}{beyond}. Lower data.max_tokens or evaluation.generation.max_new_tokens."
        )


def _find_unfit_prompts(recipe: Recipe, source: Source, text: TextData, tokenizer: Any) -> dict[str, str]:
    """Write the prompts of each method that has its own, before anything is trained.

    Returns:
        The reason for each method whose prompts do not fit, by label.

    Raises:
        RecipeError: a method does not fit for which the recipe gives hyperparameters, or any with `strict`.
    """
    positions = count_positions(_read_config(recipe, source))
    reasons: dict[str, str] = {}
    for label, method in recipe.methods.items():
        if not method.changes_prompts:
            continue
        try:
            presented = method.present(text, tokenizer, recipe.get_seeds(label)[0])
            _require_room_for_prompts(presented, recipe, positions)
            _require_same_answers(presented, text)
        except DataError as error:
            if recipe.strict or method.model_fields_set:
                raise RecipeError(f"methods.{label} does not fit the data: {error}") from error
            reasons[label] = str(error)
    return reasons


def _require_room_for_prompts(text: TextData, recipe: Recipe, positions: int | None) -> None:
    longest = max(max(count_tokens(split)) for split in (text.validation, text.test))
    needed = longest + (recipe.evaluation.generation.max_new_tokens or recipe.data.max_target_tokens)
    if positions is not None and needed > positions:
        raise DataError(
            f"its longest prompt needs {needed} positions, with the generated tokens, and {recipe.model.name} has "
            f"{positions}. Show fewer or shorter examples: lower shots or data.max_tokens."
        )


def _require_same_answers(presented: TextData, text: TextData) -> None:
    """Check that the answers have as many tokens as with the recipe's prompt: a mean loss is one over tokens."""
    scored = [count_scored(split) for split in (presented.test, text.test)]
    others = sum(own != expected for own, expected in zip(*scored, strict=True))
    if others:
        raise DataError(
            f"{others} of {len(text.test)} answers of the test split have another number of tokens than with the "
            "recipe's prompt, so their losses cannot be compared. Write a prompt of the same kind as data.prompt: a "
            "chat where that is a chat, else a template that ends as it does."
        )


def _read_config(recipe: Recipe, source: Source) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(source.folder, trust_remote_code=recipe.model.trust_remote_code)


def _uses_bitsandbytes(recipe: Recipe, source: Source) -> bool:
    """Return whether the base model is held in codes of bitsandbytes, by the recipe or as its files came."""
    return bool(recipe.model.quantise) or get_quantisation_kind(_read_config(recipe, source)) == "bitsandbytes"


def _count_context_tokens(recipe: Recipe, label: str) -> int:
    """Return the most positions that a method takes from the text, over all configurations that its search may try."""
    methods = [recipe.methods[label]]
    for hyperparameter, domain in recipe.get_space(label).items():
        values = (domain.low, domain.high) if isinstance(domain, Range) else domain
        methods += [recipe.configure(label, {hyperparameter: value}) for value in values]
    return max(method.context_tokens for method in methods)
