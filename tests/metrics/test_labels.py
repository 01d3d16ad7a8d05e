"""Accuracy and macro-F1 equal those of scikit-learn, and macro-F1 has a value for each example."""

import random

import pytest
from sklearn.metrics import accuracy_score, f1_score

from tests.metrics.scores import score_all
from tuneoff.metrics import Answer
from tuneoff.metrics.labels import OTHER, count_confusion

LABELS = ["news", "sports", "weather", "C", "C++"]


def draw_labels(seed: int, count: int = 60) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    references = rng.choices(LABELS, weights=[8, 4, 2, 1, 1], k=count)
    predictions = [rng.choice([reference, rng.choice(LABELS), "garbage"]) for reference in references]
    return references, predictions


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_that_of_scikit_learn(seed: int) -> None:
    references, predictions = draw_labels(seed)
    scores = score_all("accuracy", predictions, references)
    assert sum(scores) / len(scores) == pytest.approx(accuracy_score(references, predictions))


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_the_values_is_exactly_macro_f1(seed: int) -> None:
    references, predictions = draw_labels(seed)
    scores = score_all("macro_f1", predictions, references)
    labels = sorted(set(references))
    expected = f1_score(references, predictions, labels=labels, average="macro", zero_division=0)
    assert sum(scores) / len(scores) == pytest.approx(expected, abs=1e-12)


def test_the_variance_of_the_values_is_that_of_macro_f1_over_samples() -> None:
    means, spreads = [], []
    for seed in range(400):
        references, predictions = draw_labels(seed, count=200)
        scores = score_all("macro_f1", predictions, references)
        mean = sum(scores) / len(scores)
        means.append(mean)
        spreads.append(sum((value - mean) ** 2 for value in scores) / len(scores) ** 2)
    center = sum(means) / len(means)
    observed = sum((mean - center) ** 2 for mean in means) / (len(means) - 1)
    assert observed == pytest.approx(sum(spreads) / len(spreads), rel=0.2)


def test_case_counts_only_where_two_labels_differ_in_nothing_else() -> None:
    assert score_all("accuracy", ["Yes", "NO"], ["yes", "no"]) == [1.0, 1.0]
    assert score_all("accuracy", ["A", "a"], ["a", "A"]) == [0.0, 0.0]


def test_a_confusion_counts_what_was_predicted_for_each_label() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "nonsense")]
    confusion = count_confusion([Answer(prediction=predicted, references=(label,)) for label, predicted in pairs])
    assert confusion.classes == ("a", "b")
    assert dict(confusion.counts) == {("a", "a"): 1, ("a", "b"): 1, ("b", OTHER): 1}
    assert confusion.compute_f1("a") == pytest.approx(2 / 3)
