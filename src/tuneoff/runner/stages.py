"""The stages of a comparison and the work in each, from the recipe and the data's counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tuneoff.config.training import TrainingOptions
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.search.effort import scale_configurations
from tuneoff.search.halving import count_tries


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The work of one method in one stage, if no training diverges or stops early."""

    label: str
    name: str  # "search" or "confirm"; a confirmed trial is evaluated on the test split
    rung: float  # the share of the full training that the trainings end at
    previous_rung: float  # the share that they start from; 0 for the last tries and the second seed of a search
    trainings: int
    steps: int  # of all trainings, from the previous rung to this one
    trained_tokens: int  # real tokens, without padding
    scored_tokens: int  # the trained tokens that the loss scores


@dataclass(frozen=True, kw_only=True)
class FullTraining:
    """The work of one full training, if it does not stop early."""

    steps: int
    trained_tokens: int  # real tokens, without padding
    scored_tokens: int  # the trained tokens that the loss scores


def plan_stages(
    recipe: Recipe, data: DataSummary, trained_labels: Collection[str], train_seconds: Mapping[str, float] | None = None
) -> tuple[Stage, ...]:
    """Return the stages of all methods, method by method.

    Args:
        trained_labels: the methods that train anything; the others are only evaluated.
        train_seconds: of equal training by label, if measured. They decide how many configurations a search with equal
            seconds tries; without them, every method is taken to be as fast as the slowest.
    """
    full = compute_full_training(recipe.training, data, recipe.data.loss_on)
    return tuple(
        stage
        for label in recipe.methods
        for stage in _plan_method(recipe, label, full, label in trained_labels, train_seconds or {})
    )


def compute_full_training(options: TrainingOptions, data: DataSummary, loss_on: str) -> FullTraining:
    """Return the steps and tokens of one full training."""
    train = data.splits["train"]
    all_but_first_tokens = train.tokens - train.examples  # nothing predicts the first token of an example
    scored_tokens = train.target_tokens if loss_on == "target" else all_but_first_tokens
    return FullTraining(
        steps=options.epochs * math.ceil(train.examples / options.effective_batch_size),
        trained_tokens=options.epochs * train.tokens,
        scored_tokens=options.epochs * scored_tokens,
    )


def _plan_method(
    recipe: Recipe, label: str, full: FullTraining, is_trained: bool, train_seconds: Mapping[str, float]
) -> Iterator[Stage]:
    if recipe.search and recipe.get_space(label):
        previous_rung = 0.0
        counts = count_tries(recipe.search, scale_configurations(recipe, label, train_seconds))
        for rung, number in zip(recipe.search.shares, counts.at_rungs, strict=True):
            yield _plan_stage(label, "search", previous_rung, rung, number, full)
            previous_rung = rung
        if counts.straight:
            yield _plan_stage(label, "search", 0.0, 1.0, counts.straight, full)
    yield _plan_stage(label, "confirm", 0.0 if is_trained else 1.0, 1.0, len(recipe.get_seeds(label)), full)


def _plan_stage(label: str, name: str, previous_rung: float, rung: float, trainings: int, full: FullTraining) -> Stage:
    """Build a stage. Its tokens are those of mean steps, because a rung may end within an epoch."""
    share = rung - previous_rung
    return Stage(
        label=label,
        name=name,
        rung=rung,
        previous_rung=previous_rung,
        trainings=trainings,
        steps=trainings * (math.ceil(rung * full.steps) - math.ceil(previous_rung * full.steps)),
        trained_tokens=trainings * round(share * full.trained_tokens),
        scored_tokens=trainings * round(share * full.scored_tokens),
    )
