"""A search without training: records whose scores are a function of the configuration."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Epoch, Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runner.plan import plan_trials

Score = Callable[[Trial], float | None]
STEP_TOKENS = 1000


@pytest.fixture
def setting() -> Setting:
    return Setting(
        model=ModelOptions(name="m"),
        model_fingerprint="a",
        data=searching().data,
        data_fingerprint="b",
        training=TrainingOptions(),
        evaluation=EvaluationOptions(),
        precision="float32",
        device="a processor",
        versions={"torch": "2.13.0"},
    )


def searching(search: Mapping[str, Any] | None = None, methods: Any = ("base", "lora", "full"), **more: Any) -> Recipe:
    return Recipe.read(
        {
            "name": "r",
            "model": {"name": "m"},
            "data": {"source": "aclsum"},
            "methods": methods if isinstance(methods, dict) else list(methods),
            "search": search or {},
            **more,
        }
    )


def best_at(rate: float) -> Score:
    """A validation loss that is a parabola of the learning rate's logarithm, and falls from rung to rung."""
    return lambda t: 3 + math.log10(t.hyperparameters["learning_rate"] / rate) ** 2 - t.rungs[-1]


def record(trial: Trial, score: float | None) -> Record:
    """As if it had been trained: a rung's tokens are its share of a thousand."""
    row = Epoch(
        epoch=trial.rungs[-1], steps=1, train_loss=1.0, validation_loss=score, learning_rate=0.0, train_seconds=2.0,
        evaluation_seconds=0.0, real_tokens=round(STEP_TOKENS * trial.rungs[-1]), target_tokens=1,
    )  # fmt: skip
    if score is None:
        return Record(trial=trial, status="diverged", reason="the loss was inf", curve=(row,))
    return Record(trial=trial, status="done", scores={"validation/loss": score}, curve=(row,))


def run_through(recipe: Recipe, setting: Setting, score: Score, stop_after: int | None = None) -> dict[str, Record]:
    """Make missing records until there are none, as the engine does."""
    known: dict[str, Record] = {}
    while missing := [t for t in plan_trials(recipe, setting, known) if t.id not in known]:
        if stop_after is not None and len(known) == stop_after:
            break
        untouched = not missing[0].hyperparameters["learning_rate"]
        known[missing[0].id] = record(missing[0], 4.0 if untouched else score(missing[0]))
    return known
