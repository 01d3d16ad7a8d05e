"""A process that is killed loses nothing that was written; `python -m benchmarks.kills` does it a hundred times."""

import random
from pathlib import Path

import pytest

from benchmarks.kills import killed, tiny


@pytest.mark.model
def test_a_comparison_that_is_killed_again_and_again_comes_to_the_records_of_an_undisturbed_one(tmp_path: Path) -> None:
    recipe = tiny(tmp_path) | {"methods": {"lora": {"dropout": 0.3}}}
    outcome = killed(recipe, tmp_path, 4, random.Random(0), report=False)
    assert (sum(outcome.struck.values()), outcome.differing) == (4, [])
    assert len(outcome.struck) > 1, "all struck at one place"
    assert outcome.midway, "nothing went on in the middle of a training"
