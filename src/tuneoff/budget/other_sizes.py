"""What a comparison would cost with other numbers of seeds and test examples. Pure."""

from __future__ import annotations

import math

from tuneoff.budget.estimate import estimate_cost
from tuneoff.budget.probe import Batches, Probe, Work
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.runner.stages import compute_full_training

BACKWARD_TOKENS = 2  # a backward pass computes as much as two forward passes


def estimate_seconds_with(recipe: Recipe, data: DataSummary, probe: Probe, *, seeds: int, test_examples: int) -> float:
    """Estimate the seconds of the whole comparison, its search included, with other sizes than the recipe's."""
    return estimate_cost(_set_seeds(recipe, seeds), data, _resize_probe(probe, recipe, data, test_examples)).seconds


def count_tokens_with(recipe: Recipe, data: DataSummary, *, seeds: int, test_examples: int) -> float:
    """Count the tokens that one method's training and testing compute, to compare sizes where nothing was probed."""
    training = compute_full_training(recipe.training, data, recipe.data.loss_on)
    test = data.splits["test"]
    return seeds * ((1 + BACKWARD_TOKENS) * training.trained_tokens + test.tokens * test_examples / test.examples)


def _set_seeds(recipe: Recipe, seeds: int) -> Recipe:
    return recipe.model_copy(update={"seeds": tuple(range(1, seeds + 1))})


def _resize_probe(probe: Probe, recipe: Recipe, data: DataSummary, test_examples: int) -> Probe:
    """Return the probe with the work of another number of test examples."""

    def resize(work: Work) -> Work:
        longer = work.prompts.tokens / probe.work.prompts.tokens if probe.work.prompts.tokens else 1.0
        return _resize_work(work, recipe, data, test_examples, longer)

    costs = {
        label: own.model_copy(update={"work": resize(own.work)}) if own.work else own
        for label, own in probe.costs.items()
    }
    return probe.model_copy(update={"work": resize(probe.work), "costs": costs})


def _resize_work(work: Work, recipe: Recipe, data: DataSummary, test_examples: int, longer: float) -> Work:
    """Return the work of a trial with another number of test examples.

    Args:
        longer: how many times as long the examples are as those of the data.
    """
    test = data.splits["test"]
    batch_size, prompts_at_once = recipe.evaluation.batch_size, recipe.evaluation.generation.prompts_at_once
    added_batches = math.ceil(test_examples / batch_size) - math.ceil(test.examples / batch_size)
    added_tokens = round((test_examples - test.examples) * longer * test.tokens / test.examples)
    evaluation = Batches(
        count=work.evaluation.count + added_batches, tokens=max(0, work.evaluation.tokens + added_tokens)
    )
    prompts = Batches(
        count=math.ceil(test_examples / prompts_at_once),
        tokens=round(work.prompts.tokens * test_examples / test.examples),
    )
    return work.model_copy(update={"evaluation": evaluation, "prompts": prompts})
