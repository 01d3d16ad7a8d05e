"""The whole tool on a method and itself. `make exhaustive` repeats it on many texts."""

import pytest

from benchmarks.same_method import LABELS, compare_with_itself, is_more_often_than_stated
from tuneoff.metrics import METRICS


@pytest.mark.model
def test_a_method_is_not_called_different_from_itself_under_another_range() -> None:
    tally = compare_with_itself([0], 4, [METRICS["loss"], METRICS["rougeL"]])
    assert tally.different == {"loss": 0, "rougeL": 0}
    assert [len(rates) for rates in tally.chosen] == [len(LABELS)]


@pytest.mark.parametrize(
    ("different", "draws", "expected"), [(1, 2, False), (2, 2, True), (5, 40, False), (7, 40, True)]
)
def test_chance_is_allowed_for_and_no_more(different: int, draws: int, expected: bool) -> None:
    assert is_more_often_than_stated(different, draws) is expected
