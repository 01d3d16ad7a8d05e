"""Whatever happens to workers and to the comparison that leads them, the records are those of one process.

`python -m benchmarks.faults` does the same a hundred times.
"""

import random
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, disturb_repeatedly, make_search_recipe


@pytest.mark.slow
@pytest.mark.model
def test_a_comparison_that_is_disturbed_has_the_records_of_an_undisturbed_one_in_one_process(tmp_path: Path) -> None:
    outcome = disturb_repeatedly(make_search_recipe(tmp_path), tmp_path, len(FAULTS), random.Random(0))
    assert outcome.faults == dict.fromkeys(FAULTS, 1)
    assert outcome.differing == []
    assert outcome.attempts, "no worker went on with another one's trial"
