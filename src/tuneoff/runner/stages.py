"""The stages of a comparison and what each method trains in them, from a recipe and the data's counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tuneoff.config.training import TrainingOptions
from tuneoff.data import DataSummary
from tuneoff.recipe.recipe import Recipe
from tuneoff.search.halving import count_at_rungs, count_configurations


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one method goes through in one stage, if nothing is stopped early or diverges."""

    label: str
    name: str  # "search" or "confirm"; what is confirmed opens the test split
    rung: float  # the share of the full training that its trainings go to
    previous_rung: float  # the share that they go on from
    trainings: int
    steps: int  # of all of them, beyond the rung before
    trained_tokens: int  # real tokens, no padding
    scored_tokens: int  # of those, the ones that the loss scores


def plan_stages(recipe: Recipe, data: DataSummary, trains: Collection[str]) -> tuple[Stage, ...]:
    """The whole tree of a comparison, method by method.

    Args:
        trains: the labels that train anything; the others are only evaluated.
    """
    whole = compute_full_training(recipe.training, data, recipe.data.loss_on)
    return tuple(stage for label in recipe.methods for stage in _plan_method(recipe, label, whole, label in trains))


def _plan_method(recipe: Recipe, label: str, whole: FullTraining, trains: bool) -> Iterator[Stage]:
    if recipe.search and recipe.get_space(label):
        before = 0.0
        numbers = count_at_rungs(recipe.search, count_configurations(recipe, label))
        for share, number in zip(recipe.search.shares, numbers, strict=True):
            yield _plan_stage(label, "search", before, share, number, whole)
            before = share
    yield _plan_stage(label, "confirm", 0.0 if trains else 1.0, 1.0, len(recipe.get_seeds(label)), whole)


def _plan_stage(label: str, name: str, before: float, rung: float, trainings: int, whole: FullTraining) -> Stage:
    """Tokens are those of the mean step, since a rung may end within an epoch."""
    share = rung - before
    return Stage(
        label=label,
        name=name,
        rung=rung,
        previous_rung=before,
        trainings=trainings,
        steps=trainings * (math.ceil(rung * whole.steps) - math.ceil(before * whole.steps)),
        trained_tokens=trainings * round(share * whole.trained_tokens),
        scored_tokens=trainings * round(share * whole.scored_tokens),
    )


@dataclass(frozen=True, kw_only=True)
class FullTraining:
    """What one full training goes through if it is not stopped early."""

    steps: int
    trained_tokens: int  # real tokens, no padding
    scored_tokens: int  # of those, the ones that the loss scores


def compute_full_training(options: TrainingOptions, data: DataSummary, loss_on: str) -> FullTraining:
    """The steps and tokens of one training, from the data's counts."""
    train = data.splits["train"]
    scored = train.target_tokens if loss_on == "target" else train.tokens - train.examples  # nothing predicts the first
    return FullTraining(
        steps=options.epochs * math.ceil(train.examples / options.effective_batch_size),
        trained_tokens=options.epochs * train.tokens,
        scored_tokens=options.epochs * scored,
    )
