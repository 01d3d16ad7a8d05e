"""Planning: from a recipe and its setting to the trials to run. Pure: nothing is loaded or started here."""

import math
from dataclasses import dataclass

from tuneoff.data import DataSummary
from tuneoff.recipe import Recipe
from tuneoff.training.options import TrainingOptions
from tuneoff.trial import Setting, Trial


def plan(recipe: Recipe, setting: Setting) -> tuple[Trial, ...]:
    """The trials of a comparison: each method under each seed, and once where no seed matters to it."""
    return tuple(
        Trial(
            label=label,
            method=method.name,
            hyperparameters=method.model_dump(mode="json"),
            setting=setting,
            seed=seed,
        )
        for label, method in recipe.methods.items()
        for seed in recipe.seeds_of(label)
    )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one trial goes through if it is not stopped early; the untouched model trains nothing."""

    steps: int
    trained_tokens: int  # real tokens, no padding
    scored_tokens: int  # of those, the ones that the loss scores


def workload(options: TrainingOptions, data: DataSummary, loss_on: str) -> Workload:
    """The steps and tokens of one training, from the data's counts."""
    train = data.splits["train"]
    scored = train.target_tokens if loss_on == "target" else train.tokens - train.examples  # nothing predicts the first
    return Workload(
        steps=options.epochs * math.ceil(train.examples / options.effective_batch_size),
        trained_tokens=options.epochs * train.tokens,
        scored_tokens=options.epochs * scored,
    )
