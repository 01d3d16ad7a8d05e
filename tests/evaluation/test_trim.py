"""What is removed around a prediction."""

import ast
import textwrap

import pytest

from tuneoff.evaluation.generation import trim


@pytest.mark.parametrize(
    ("generated", "prediction"),
    [
        (" Paris", "Paris"),
        ("\n\nParis.\n", "Paris."),
        ("  \n \n", ""),
        ("\n    x = 1\n    return x\n", "    x = 1\n    return x"),
        ("first\n  second", "first\n  second"),
    ],
)
def test_white_space_around_a_prediction_is_removed(generated: str, prediction: str) -> None:
    assert trim(generated) == prediction


def test_the_body_of_a_function_still_parses() -> None:
    ast.parse(textwrap.dedent(trim("\n    if x:\n        return 1\n    return 2\n")))
