"""A run directory without records, and trials for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.data import DataSummary
from tuneoff.methods import METHODS
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs import RunDirectory

LORA = METHODS["lora"].read({}).model_dump(mode="json")


@pytest.fixture
def lora_recipe() -> Recipe:
    return Recipe.read(
        {
            "name": "r",
            "model": {"name": "m"},
            "data": {"source": "aclsum"},
            "methods": ["base", "lora"],
            "seeds": [0, 1],
        }
    )


@pytest.fixture
def setting(lora_recipe: Recipe) -> Setting:
    return Setting(
        model=ModelOptions(name="m"),
        model_fingerprint="a",
        data=lora_recipe.data,
        data_fingerprint="b",
        training=TrainingOptions(),
        evaluation=EvaluationOptions(),
        precision="float32",
        device="a processor",
        versions={"torch": "2.13.0"},
    )


@pytest.fixture
def summary() -> DataSummary:
    return DataSummary(fingerprint="b", splits={}, duplicates={})


@pytest.fixture
def directory(tmp_path: Path, lora_recipe: Recipe, summary: DataSummary) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.begin(lora_recipe, {"python": "3.11"}, summary)
    return run


@pytest.fixture
def trial(setting: Setting) -> Callable[..., Trial]:
    """A function that makes a trial of LoRA, with the given fields replaced."""
    default = {"label": "lora", "method": "lora", "hyperparameters": LORA, "setting": setting, "seed": 0}
    return lambda **changes: Trial(**{**default, **changes})
