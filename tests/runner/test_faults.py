"""Whatever happens to workers and to the comparison that leads them, the records are those of one process.

`python -m benchmarks.faults` does the same a hundred times.
"""

import random
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, disturb_repeatedly, make_search_recipe


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", ["run directory", "s3://tests/faults"])
def test_a_comparison_that_is_disturbed_has_the_records_of_an_undisturbed_one_in_one_process(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    share = place if "://" in place else None
    if share:
        request.getfixturevalue("s3")
    outcome = disturb_repeatedly(make_search_recipe(tmp_path), tmp_path, len(FAULTS), random.Random(0), share)
    assert outcome.faults == dict.fromkeys(FAULTS, 1)
    assert outcome.differing == []
    assert outcome.attempts, "no worker went on with another one's trial"
