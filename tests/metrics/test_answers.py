"""Metrics of short answers tell apart what differs in a sign, and agree with their reference implementations."""

import pytest

from tests.metrics.scores import score, score_all

DIFFERENT = [("C", "C++"), ("C#", "C"), ("-5", "5"), (">", "<"), ("10%", "10"), ("universal", "university"),
             ('{"age": -3}', '{"age": 3}'), ("Größe", "Grüße")]  # fmt: skip


@pytest.mark.parametrize("metric", ["exact", "exact_strict", "contains", "accuracy"])
@pytest.mark.parametrize(("prediction", "reference"), DIFFERENT)
def test_an_answer_that_differs_in_a_sign_is_wrong(metric: str, prediction: str, reference: str) -> None:
    assert score_all(metric, [prediction, reference], [reference, prediction]) == [0.0, 0.0]
    assert score(metric, reference, reference) == 1.0


def test_one_answer_to_everything_is_right_as_often_as_it_is() -> None:
    labels = ["C", "C++", "C#"] * 5
    for metric in ("exact", "accuracy"):
        assert sum(score_all(metric, ["C"] * 15, labels)) == 5


@pytest.mark.parametrize(
    ("prediction", "exact", "strict"), [("Paris", 1, 1), (" paris ", 1, 0), ("PARIS", 1, 0), ("Paris.", 0, 0)]
)
def test_case_counts_for_the_strict_one_alone(prediction: str, exact: int, strict: int) -> None:
    assert (score("exact", prediction, "Paris"), score("exact_strict", prediction, "Paris")) == (exact, strict)


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert score("exact", "cafe\u0301", "caf\u00e9") == 1.0


def test_any_of_several_references_is_right() -> None:
    for metric in ("exact", "exact_strict", "f1", "contains", "accuracy"):
        assert score(metric, "NYC", "New York", "NYC") == 1.0


# Worked with the official script: https://rajpurkar.github.io/SQuAD-explorer, evaluate-v1.1.py
SQUAD = [
    ("the cat", "cat", 1.0),
    ("The Cat!", "a cat", 1.0),
    ("cat sat", "cat", 2 / 3),
    ("dog", "cat", 0.0),
    ("", "cat", 0.0),
    ("", "", 1.0),
    ("in the year of 1912", "1912", 0.4),
    ("cat cat", "cat", 2 / 3),
    ("Denver Broncos", "Broncos of Denver", 0.8),
]


@pytest.mark.parametrize(("prediction", "reference", "expected"), SQUAD)
def test_token_f1_is_that_of_squad(prediction: str, reference: str, expected: float) -> None:
    assert score("f1", prediction, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [("The answer is Paris.", "paris", 1), ("in C++ code", "C", 0), ("about 5.3", "5", 0), ("It is 5.", "5", 1),
     ("答えは東京です", "東京", 1), ("comparison", "Paris", 0), ("", "", 1), ("text", "", 0)],
)  # fmt: skip
def test_an_answer_is_contained_as_words_of_its_own(prediction: str, reference: str, expected: int) -> None:
    assert score("contains", prediction, reference) == expected
