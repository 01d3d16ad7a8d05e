"""Test examples with the predictions of every method next to each other."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import Metric
from tuneoff.records.record import Prediction
from tuneoff.report.escape import truncate
from tuneoff.report.format import format_score

SHOWN = 10
CHARACTERS = 20_000  # shown of a text, a few pages of a book; ten whole books could fill a browser's memory


@dataclass(frozen=True, kw_only=True)
class MethodPrediction:
    """One method's prediction for an example."""

    label: str
    prediction: str
    score: str  # by the metric that the examples are shown with; empty if none is of the text
    best: bool


@dataclass(frozen=True, kw_only=True)
class Example:
    """A test example with the predictions of all methods, in the order of the comparison."""

    row: int
    source: str
    reference: str
    predictions: tuple[MethodPrediction, ...]


def choose_examples(comparison: Comparison, count: int = SHOWN) -> tuple[Example, ...]:
    """Choose examples evenly spaced over the test split, from first to last, whatever their scores.

    For a method with several seeds, the predictions are those of its first finished trial. There are no examples if no
    text was generated.
    """
    if not comparison.run.recipe.needs_generation:
        return ()
    predictions = {
        row.label: {prediction.row: prediction for prediction in row.finished[0].predictions}
        for row in comparison.rows
        if row.finished
    }
    rows = sorted({row for by_row in predictions.values() for row in by_row})
    metric = find_example_metric(comparison)
    return tuple(_build_example(row, predictions, metric) for row in pick_evenly(rows, count))


def find_example_metric(comparison: Comparison) -> Metric | None:
    """Return the first metric that scores an example by its text alone; the primary one if it does."""
    of_text = (metric for metric in comparison.metrics if metric.score is not None and not metric.depends_on_split)
    return next(of_text, None)


def pick_evenly(rows: list[int], count: int) -> list[int]:
    """Pick at most `count` rows with equal distances, including the first and the last."""
    if len(rows) <= count or count < 2:
        return rows[:count] if count < 2 else rows
    return [rows[round(i * (len(rows) - 1) / (count - 1))] for i in range(count)]


def _build_example(row: int, predictions: Mapping[str, Mapping[int, Prediction]], metric: Metric | None) -> Example:
    by_label = {label: by_row[row] for label, by_row in predictions.items() if row in by_row}
    first = next(iter(by_label.values()))
    scores = {label: metric.value(prediction) for label, prediction in by_label.items()} if metric else {}
    best = _find_best(scores, metric) if metric and len(by_label) > 1 else frozenset()
    return Example(
        row=row,
        source=truncate(first.source, CHARACTERS),
        reference=truncate(first.reference, CHARACTERS),
        predictions=tuple(
            MethodPrediction(
                label=label,
                prediction=truncate(prediction.prediction or "", CHARACTERS),
                score=format_score(metric, metric.scale * scores[label]) if metric else "",
                best=label in best,
            )
            for label, prediction in by_label.items()
        ),
    )


def _find_best(scores: Mapping[str, float], metric: Metric) -> frozenset[str]:
    """Return the labels with the best score; none if that is zero, where higher is better."""
    best = max(scores.values()) if metric.higher_is_better else min(scores.values())
    if metric.higher_is_better and best <= 0:
        return frozenset()
    return frozenset(label for label, score in scores.items() if score == best)
