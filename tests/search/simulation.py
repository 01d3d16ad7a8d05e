"""A search without training: each record's score is a function of its configuration."""

import math
from collections.abc import Callable

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials

ScoreFunction = Callable[[Trial], float | None]
FULL_TRAINING_TOKENS = 1000


def score_best_at(rate: float) -> ScoreFunction:
    """Return a validation loss that is a parabola in the logarithm of the learning rate and falls from rung to rung."""
    return lambda t: 3 + math.log10(t.hyperparameters["learning_rate"] / rate) ** 2 - t.rungs[-1]


def make_record(trial: Trial, score: float | None) -> Record:
    """Return a record with the tokens of the trial's rung; the trial diverged if the score is None."""
    row = Epoch(
        epoch=trial.rungs[-1], steps=1, train_loss=1.0, validation_loss=score, learning_rate=0.0, train_seconds=2.0,
        evaluation_seconds=0.0, real_tokens=round(FULL_TRAINING_TOKENS * trial.rungs[-1]), target_tokens=1,
    )  # fmt: skip
    if score is None:
        return Record(trial=trial, status="diverged", reason="the loss was inf", curve=(row,))
    return Record(trial=trial, status="done", scores={"validation/loss": score}, curve=(row,))


def simulate_comparison(
    recipe: Recipe, setting: Setting, score: ScoreFunction, stop_after: int | None = None
) -> dict[str, Record]:
    """Make missing records until there are none, as the engine does, or until there are `stop_after`."""
    known: dict[str, Record] = {}
    while missing := [t for t in plan_trials(recipe, setting, known) if t.id not in known]:
        if stop_after is not None and len(known) == stop_after:
            break
        is_base_model = not missing[0].hyperparameters["learning_rate"]
        known[missing[0].id] = make_record(missing[0], 4.0 if is_base_model else score(missing[0]))
    return known
