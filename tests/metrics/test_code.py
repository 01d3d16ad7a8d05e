"""Code is compared by characters, and parsed."""

import pytest

from tests.metrics.scores import score


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [("abcd", "abcd", 1.0), ("abxd", "abcd", 0.75), ("", "abcd", 0.0), ("", "", 1.0)],
)
def test_similarity_is_one_minus_the_share_of_edits(prediction: str, reference: str, expected: float) -> None:
    assert score("edit", prediction, reference) == expected


PYTHON = [
    "def f(x):\n    return x + 1",
    "x = 1\n    if x:\n        return x",  # a function's body whose first line was stripped
    "    return 1\n",
    r"pattern = '\d'",
]
NO_PYTHON = [
    "def f(x:\n    return x",
    "return return",
    "",
    "x = 1\n  y = (",
    "\0",
    "(" * 1000,
    "int main() { return 0; }",
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_parses_as_a_module_or_as_the_body_of_a_function(text: str) -> None:
    assert score("parses", text, "") == 1.0


@pytest.mark.parametrize("text", NO_PYTHON, ids=range(len(NO_PYTHON)))
def test_other_text_does_not_parse(text: str) -> None:
    assert score("parses", text, "") == 0.0
