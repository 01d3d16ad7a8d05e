"""A run directory without records, and trials for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.samples import make_setting
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
    return make_setting().model_copy(update={"data": lora_recipe.data})


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
