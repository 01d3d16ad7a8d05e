"""A killed process loses nothing that was written. `python -m benchmarks.kills` kills a hundred times."""

import random
from pathlib import Path

import pytest

from benchmarks.kills import kill_repeatedly, make_tiny_recipe


@pytest.mark.slow
@pytest.mark.model
def test_a_comparison_that_is_killed_again_and_again_has_the_records_of_an_undisturbed_one(tmp_path: Path) -> None:
    recipe = make_tiny_recipe(tmp_path) | {"methods": {"lora": {"dropout": 0.3}}}
    outcome = kill_repeatedly(recipe, tmp_path, 6, random.Random(0), report=False)
    assert (sum(outcome.kills.values()), outcome.differing, outcome.wronged) == (6, [], 0)
    assert set(outcome.victims) == {"worker", "supervisor", "group"}
    assert len(outcome.kills) > 1, "all kills came in one phase"
    assert outcome.resumable, "no run resumed from a checkpoint"
