"""Whether each method fits a model, found before anything runs.

A method is applied to a model that has the shape of the base model but no weights. A training step without numbers then
shows whether what the method trains takes part in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from tuneoff.config.search_space import Domain, Range, Space
from tuneoff.errors import ModelError, RecipeError
from tuneoff.models.loading import build_empty_model, load_model
from tuneoff.models.parameters import count_parameters, estimate_weight_bytes
from tuneoff.models.prefix_cache import has_prefix_in_cache
from tuneoff.models.quantisation import find_trained_codes, list_quantised
from tuneoff.models.shapes import ROWS, make_inputs, run_few_blocks, run_without_numbers
from tuneoff.optimizers import OPTIMIZERS, build_groups
from tuneoff.system.capacity import get_memory_bytes

MOST_MEMORIES = 8  # a plan may be made on a smaller machine than the comparison

if TYPE_CHECKING:
    from torch import Tensor

    from tuneoff.methods import Method
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.models.precision import Precision
    from tuneoff.models.sources import Source
    from tuneoff.recipe.recipe import Recipe

    # returns the trainable and the total parameters of a method that fits, and raises a MisfitError for another
    Count = Callable[[Method], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class MethodFit:
    """Which methods fit a model, and why the others do not."""

    parameters: Mapping[str, tuple[int, int]]  # trainable and total, by label
    misfits: Mapping[str, str]  # the reason, by label
    # what is left of a default search space of which some choices do not fit, and which those are and why, by label
    spaces: Mapping[str, Space] = field(default_factory=dict)
    cuts: Mapping[str, str] = field(default_factory=dict)


class MisfitError(Exception):
    """A method does not fit a model."""


def fit_methods(recipe: Recipe, source: Source, tokenizer: Any, precision: Precision) -> MethodFit:
    """Apply every method of a recipe to the model's shape, and those whose hyperparameters are searched also with the
    largest values that the search may try.

    Args:
        precision: of the matrix products.

    Raises:
        ModelError: the model's files describe no causal language model.
        RecipeError: a method would fit the model with its default hyperparameters, but not with those of the recipe, or
            not with a value of a search space in the recipe.
    """
    options = recipe.model

    def build() -> LanguageModel:
        return build_empty_model(source, options, tokenizer)

    def load() -> LanguageModel:
        return load_model(source, options, tokenizer)

    def count(method: Method) -> tuple[int, int]:
        tuned = apply_to_shape(method, build, load)
        if recipe.training.gradient_checkpointing == "always" and has_prefix_in_cache(tuned.base):
            raise MisfitError(
                f"the prefix of a {type(tuned.base).__name__} stands in its cache, which gradient checkpointing drops. "
                "With training.gradient_checkpointing: auto it fits"
            )
        if recipe.training.shard and method.trains:
            _require_divisible(method, tuned)
        _require_room(method, tuned)
        counts = count_parameters(tuned)
        _require_optimizer(method, tuned, precision)  # last: it may freeze for now what is not trained at first
        return counts

    parameters, misfits = {}, {}
    spaces: dict[str, Space] = {}
    cuts: dict[str, str] = {}
    for label, method in recipe.methods.items():
        try:
            parameters[label] = count(method)
        except MisfitError as misfit:
            if _fits_by_default(method, count):
                raise RecipeError(
                    f"methods.{label} does not fit {options.name}: {misfit}. With its default hyperparameters it would "
                    "fit, so change those in the recipe."
                ) from misfit
            misfits[label] = str(misfit)
        else:
            space = recipe.get_space(label)
            reason = _find_unfit_value(recipe, label, space, count)
            cut, left_out = _cut_space(recipe, label, count) if reason else ({}, "")
            if cut and not _find_unfit_value(recipe, label, {**space, **cut}, count):
                spaces[label], cuts[label] = cut, left_out
            elif reason:
                del parameters[label]
                misfits[label] = reason
    return MethodFit(parameters=parameters, misfits=misfits, spaces=spaces, cuts=cuts)


def _find_unfit_value(recipe: Recipe, label: str, space: Space, count: Count) -> str:
    """Return why a search could not try all of a space; empty if it can.

    Raises:
        RecipeError: the recipe gives the space with that value.
    """
    combinations = list_largest(space, recipe.methods[label].of_optimizer)
    singles = [{name: value} for values in combinations for name, value in values.items()]
    for values in combinations:
        try:
            count(recipe.configure(label, values))
        except MisfitError as misfit:
            found = next((one for one in singles if not _fits(recipe.configure(label, one), count)), values)
            shown = ", ".join(f"{name}: {value}" for name, value in found.items())
            reason = f"its search would try {shown}, which does not fit: {misfit}"
            written = _get_written_space(recipe, label)
            if found.keys() & written.keys():
                raise RecipeError(f"search.spaces.{label} does not fit {recipe.model.name}: {reason}.") from misfit
            return f"{reason}. Write search.spaces.{label} without it"
    return ""


def _cut_space(recipe: Recipe, label: str, count: Count) -> tuple[Space, str]:
    """Return the choices of a search of which some do not fit, without those, and what was left out and why.

    The method's own choices are for models of any size. A space that the recipe gives is not cut.
    """
    fixed = {*_get_written_space(recipe, label), *recipe.methods[label].of_optimizer}
    cut: dict[str, Domain] = {}
    left_out = []
    for name, domain in recipe.get_space(label).items():
        if isinstance(domain, Range) or name in fixed:
            continue
        reasons = {value: _find_misfit(recipe.configure(label, {name: value}), count) for value in domain}
        fitting = tuple(value for value in domain if not reasons[value])
        if fitting and fitting != domain:
            cut[name] = fitting
            left_out += [f"{name}: {value} does not fit: {reason}" for value, reason in reasons.items() if reason]
    return cut, "; ".join(left_out)


def _get_written_space(recipe: Recipe, label: str) -> Space:
    return recipe.search.spaces.get(label, {}) if recipe.search else {}


def list_largest(space: Space, of_optimizer: Collection[str]) -> list[dict[str, Any]]:  # Any: hyperparameters
    """Return configurations that together show whether all of a space fits a model: the largest of all numbers, with
    each value in turn of the hyperparameters that are no numbers.

    Args:
        of_optimizer: hyperparameters that change nothing of the model.
    """
    choices: dict[str, tuple[Any, ...]] = {}
    numbers: dict[str, Any] = {}
    for name, domain in space.items():
        values = (domain.low, domain.high) if isinstance(domain, Range) else domain
        if name in of_optimizer:
            continue
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            numbers[name] = max(values)
        else:
            choices[name] = values
    varied = [{**numbers, name: value} for name, values in choices.items() for value in values]
    return varied or ([numbers] if numbers else [])


def _fits(method: Method, count: Count) -> bool:
    return not _find_misfit(method, count)


def _find_misfit(method: Method, count: Count) -> str:
    """Return why a method does not fit; empty if it does."""
    try:
        count(method)
    except MisfitError as misfit:
        return str(misfit)
    return ""


def _require_optimizer(method: Method, tuned: LanguageModel, precision: Precision) -> None:
    """Refuse an optimizer that is not installed, or not for what the method trains or the precision of the products.

    Raises:
        MisfitError: with the cure.
    """
    if not method.trains:
        return
    optimizer = OPTIMIZERS[method.optimizer]
    if optimizer.needs_bf16 and precision != "bf16":
        raise MisfitError(
            f"its optimizer {optimizer.name} holds weights in bf16, and matrix products are computed in {precision}: "
            "write model.precision: bf16"
        )
    groups = build_groups(method.parameter_groups(tuned), method.learning_rate, method.weight_decay)
    try:
        optimizer.create(tuned, groups)
    except ValueError as error:
        raise MisfitError(_describe(error)) from error


def _require_divisible(method: Method, tuned: LanguageModel) -> None:
    """Refuse what cannot be trained in parts.

    Raises:
        MisfitError: with the cure.
    """
    if not OPTIMIZERS[method.optimizer].by_element:
        raise MisfitError(
            f"training.shard divides each tensor among the devices, and {method.optimizer} needs it whole. Write "
            "optimizer: adamw, or leave training.shard out"
        )
    if method.reads_train:
        raise MisfitError(
            "it reads rows of train with the whole model first, so training.shard cannot be used: leave it out"
        )
    if list_quantised(tuned.network):
        raise MisfitError("training.shard cannot divide quantised layers. Leave it out, or hold the model in bf16")


def _require_room(method: Method, tuned: LanguageModel) -> None:
    """Refuse weights and an optimizer's state that no machine of this kind could hold, before any is made.

    Raises:
        MisfitError: with the counted bytes and the limit.
    """
    trainable, total = count_parameters(tuned)
    needed_bytes = estimate_weight_bytes(tuned) + OPTIMIZERS[method.optimizer].count_state_bytes(tuned)
    limit_bytes = MOST_MEMORIES * get_memory_bytes(torch.device("cpu"))
    if needed_bytes > limit_bytes:
        raise MisfitError(
            f"its {trainable:,} trainable and {total - trainable:,} other parameters and the state of "
            f"{method.optimizer} take {needed_bytes / 1e9:,.0f} GB, more than {MOST_MEMORIES} times this machine's "
            f"memory ({limit_bytes / 1e9:,.0f} GB)"
        )


def _fits_by_default(method: Method, count: Count) -> bool:
    """Return whether the method fits if only what it requires is set."""
    required = {name: getattr(method, name) for name, field in type(method).model_fields.items() if field.is_required()}
    default = type(method).read(required)
    return default != method and _fits(default, count)


def apply_to_shape(
    method: Method, build: Callable[[], LanguageModel], load: Callable[[], LanguageModel]
) -> LanguageModel:
    """Return the method applied to a model without weights, after a training step without numbers.

    Args:
        build: returns a new model without weights.
        load: returns a new model with its weights, for the few methods that cannot be applied without them.

    Raises:
        MisfitError: why the method does not fit.
    """
    empty_model = build()
    try:
        tuned = method.apply(empty_model)
    except Exception as error:  # peft and the models' own code raise all types of errors
        if _needs_numbers(error, empty_model):
            return _apply_to_weights(method, load)
        raise MisfitError(_describe(error)) from error
    if trained := find_trained_codes(tuned.network):
        raise MisfitError(f"it trains {trained}, which belongs to a quantised layer, and such a layer stays as it is")
    if method.is_tried_on_codes and list_quantised(tuned.network):  # plain layers stand in for them in what follows
        return _apply_to_weights(method, load)
    if method.trains and (reason := _find_broken_step(tuned, lambda: method.apply(load()))):
        raise MisfitError(reason)
    return tuned


def _apply_to_weights(method: Method, load: Callable[[], LanguageModel]) -> LanguageModel:
    """Apply a method that computes something from the weights, such as their singular values.

    On a quantised base it takes a step too, since an adapter may accept such layers and then not run on them.
    """
    try:
        tuned = method.apply(load())
        if list_quantised(tuned.network):
            _take_step(tuned, make_inputs("cpu"))
        return tuned
    except ModelError:
        raise
    except Exception as error:
        raise MisfitError(_describe(error)) from error


def _needs_numbers(error: Exception, empty_model: LanguageModel) -> bool:
    """Return whether an operation may have failed only because a tensor without numbers has none.

    Code for quantised layers reads the codes without asking whether there are any, and fails in many ways.
    """
    if list_quantised(empty_model.network) and not isinstance(error, ValueError):
        return True
    is_raised_by_fake_tensors = type(error).__module__.startswith("torch._subclasses") or "Fake Tensor" in str(error)
    return is_raised_by_fake_tensors or (isinstance(error, NotImplementedError) and "meta tensor" in str(error))


def require_any_fit(fit: MethodFit, methods: Mapping[str, Method], model: str, *, strict: bool) -> None:
    """Check that enough methods are left to compare.

    Raises:
        RecipeError: with `strict` any method does not fit; otherwise none does that trains anything.
    """
    if not fit.misfits:
        return
    reasons = "\n".join(f"methods.{label} does not fit {model}: {reason}" for label, reason in fit.misfits.items())
    if strict:
        raise RecipeError(f"{reasons}\nChange or remove it, or leave `strict` out to compare the other methods.")
    if not any(methods[label].trains for label in fit.parameters):
        raise RecipeError(f"{reasons}\nNo method is left that trains anything. `tuneoff methods` shows those that do.")


def _find_broken_step(tuned: LanguageModel, load_tuned: Callable[[], LanguageModel]) -> str | None:
    """Return why a training step fails, if it does.

    Args:
        tuned: a model without weights.
        load_tuned: returns it with weights, for the few models that cannot be run without them, such as those that
            loop over the experts that were chosen.
    """
    with contextlib.suppress(Exception):  # this fails for some models, and the slower ways find out whether it matters
        with run_few_blocks(tuned.base) as inputs:
            _take_step(tuned, inputs)
        if _has_gradient(tuned):
            return None
    try:
        with run_without_numbers(tuned.network):
            _take_step(tuned, make_inputs("meta"))
    except Exception:  # it may be due to the missing numbers, so a step with them decides
        tuned = load_tuned()
        _move_a_little(tuned)
        try:
            _take_step(tuned, make_inputs("cpu"))
        except Exception as error:  # the models' own code raises all types of errors
            return _describe(error)
    return None if _has_gradient(tuned) else "what it trains takes no part in the model's forward pass"


def _move_a_little(model: LanguageModel) -> None:
    """Change what is trained, as a step does: some models accept only embeddings that are in their table."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 1e-3


def _take_step(model: LanguageModel, inputs: Mapping[str, Tensor]) -> None:
    """Run a forward and a backward pass."""
    logits = model.network(**inputs, use_cache=False, **model.make_adapter_inputs(ROWS)).logits
    if logits.requires_grad:
        logits.float().sum().backward()


def _has_gradient(model: LanguageModel) -> bool:
    return any(parameter.grad is not None for parameter in model.parameters())


def _describe(error: Exception) -> str:
    """Return an error's message in one line, with its type unless it was raised for people to read."""
    message = " ".join(str(error).split())
    text = message if message and isinstance(error, ValueError) else f"{type(error).__name__}: {message}"
    return text.rstrip(".: ")
