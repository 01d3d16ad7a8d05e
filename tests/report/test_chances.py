"""Probabilities as text."""

import pytest

from tuneoff.report.sentences.chances import format_chance


@pytest.mark.parametrize(
    ("chance", "text"),
    [
        (0.0, "< 1 %"),
        (0.005, "< 1 %"),
        (0.0099, "< 1 %"),
        (0.01, "1 %"),
        (0.5, "50 %"),
        (0.99, "99 %"),
        (0.995, "> 99 %"),
    ],
)
def test_a_probability_is_never_zero_or_one(chance: float, text: str) -> None:
    assert format_chance(chance) == text
