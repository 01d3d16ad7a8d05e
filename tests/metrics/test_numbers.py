"""A numeric answer is right however the number is written, and wrong if its value, sign or unit is another."""

import pytest

from tests.metrics.scores import score

EQUAL = [("1,000", "1000"), ("1e3", "1000"), ("1.50", "1.5"), ("−5", "-5"), ("The answer is 42.", "42"),
         ("20 + 22 = 42", "#### 42"), ("so #### 42 (as 6 * 7)", "42"), (r"\boxed{1/2}", "0.5"), ("$12", "12"),
         ("10 %", "10%"), ("+3", "3"), (".5", "0.5"), ("it is 5 - 3 = 2", "2"), ("1e-3", "0.001")]  # fmt: skip
UNEQUAL = [("-5", "5"), ("10%", "10"), ("1.5", "15"), ("1,5", "15"), ("42", "24"), ("none", "0"), ("", "0"),
           ("5x", "5"), ("1/0", "0"), ("9" * 5000, "9"), ("1e999999999", "1"), ("v2.0.1", "2")]  # fmt: skip


@pytest.mark.parametrize(("prediction", "reference"), EQUAL)
def test_the_same_number_is_right(prediction: str, reference: str) -> None:
    assert score("number", prediction, reference) == 1.0


@pytest.mark.parametrize(("prediction", "reference"), UNEQUAL)
def test_another_number_is_wrong(prediction: str, reference: str) -> None:
    assert score("number", prediction, reference) == 0.0


def test_a_reference_without_a_number_must_be_matched_as_text() -> None:
    assert (score("number", "Undefined", "undefined"), score("number", "0", "undefined")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [(r"$\frac{1}{2}$", "0.5", 1), ("$x + 1$", "$1 + x$", 1), ("$x$", "$2x$", 0), ("nothing", "3", 0)],
)
def test_math_verify_compares_expressions(prediction: str, reference: str, expected: int) -> None:
    pytest.importorskip("math_verify")
    assert score("math", prediction, reference) == expected
