"""Accuracy and macro-F1 of labels, and the counts behind them.

The classes are the labels in the references. A prediction that is none of them is wrong and belongs to no class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuneoff.metrics.exact_match import normalize
from tuneoff.metrics.metric import Answer, Scores
from tuneoff.metrics.percent import make_percent_metric

OTHER = "(other)"  # predictions that are no class


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often each class was predicted for each class."""

    classes: tuple[str, ...]  # as the references write them, in the order of their first example
    counts: Counter[tuple[str, str]]  # by reference and prediction, which may be `OTHER`

    def count_predicted(self, name: str) -> int:
        """How often a class was predicted."""
        return sum(count for (_, predicted), count in self.counts.items() if predicted == name)

    def count_true(self, name: str) -> int:
        """How many examples have a class."""
        return sum(count for (reference, _), count in self.counts.items() if reference == name)

    def compute_f1(self, name: str) -> float:
        """The F1 of a class; zero for one that no example has and that was never predicted."""
        total = self.count_predicted(name) + self.count_true(name)
        return 2 * self.counts[name, name] / total if total else 0.0


def read_labels(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """Return the reference and the prediction of each example, as classes.

    Case counts only if two classes differ in nothing else. Of several references, the predicted one is meant.
    """
    read = _choose_reading(answers)
    classes: dict[str, str] = {}
    for answer in answers:
        for reference in answer.references:
            classes.setdefault(read(reference), reference)
    pairs = []
    for answer in answers:
        predicted = read(answer.prediction)
        meant = predicted if predicted in map(read, answer.references) else read(answer.references[0])
        pairs.append((classes[meant], classes.get(predicted, OTHER)))
    return pairs


def count_confusion(answers: Sequence[Answer]) -> Confusion:
    """Count how often each class was predicted for each class."""
    pairs = read_labels(answers)
    return Confusion(classes=tuple(dict.fromkeys(reference for reference, _ in pairs)), counts=Counter(pairs))


def _choose_reading(answers: Sequence[Answer]) -> Callable[[str], str]:
    exact = {_keep_case(reference) for answer in answers for reference in answer.references}
    return normalize if len(set(map(normalize, exact))) == len(exact) else _keep_case


def _keep_case(text: str) -> str:
    return " ".join(text.split())


def _score_accuracy(answers: Sequence[Answer]) -> Scores:
    return Scores(values=[float(reference == predicted) for reference, predicted in read_labels(answers)])


def _score_macro_f1(answers: Sequence[Answer]) -> Scores:
    """Return values of the examples whose mean is macro-F1: that of all examples, plus the influence of the example.

    The influences of a class, a ratio of sums, are by linearization (the delta method) and add up to zero.

    Source: Cochran 1977, "Sampling Techniques", chapter 6, on ratio estimators.
    """
    pairs = read_labels(answers)
    confusion = Confusion(classes=tuple(dict.fromkeys(reference for reference, _ in pairs)), counts=Counter(pairs))
    f1 = {name: confusion.compute_f1(name) for name in confusion.classes}
    totals = {name: confusion.count_predicted(name) + confusion.count_true(name) for name in confusion.classes}
    examples, classes = len(pairs), len(confusion.classes)
    macro = sum(f1.values()) / classes

    def compute_influence(reference: str, predicted: str) -> float:
        influence = 0.0
        for name in {reference, predicted} & f1.keys():
            hits, total = 2 * (reference == predicted), (reference == name) + (predicted == name)
            influence += examples * (hits - f1[name] * total) / totals[name]
        return influence / classes

    return Scores(values=[macro + compute_influence(*pair) for pair in pairs])


ACCURACY = make_percent_metric(
    name="accuracy",
    title="Accuracy",
    meaning="Share of predictions that are the label of the example.",
    score=_score_accuracy,
    is_all_or_nothing=True,
    reads_as=_keep_case,
)
MACRO_F1 = make_percent_metric(
    name="macro_f1",
    title="Macro-F1",
    unit="F1 × 100",
    meaning="Mean over the labels of the F1 of each, so that a rare label counts as much as a common one: F1 × 100.",
    score=_score_macro_f1,
    is_all_or_nothing=True,
    depends_on_split=True,
    reads_as=_keep_case,
)
