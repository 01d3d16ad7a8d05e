"""Test examples with the predictions of every method next to each other."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.records.record import Prediction
from tuneoff.report.escape import truncate

SHOWN = 10
CHARACTERS = 20_000  # shown of a text, a few pages of a book; ten whole books could fill a browser's memory


@dataclass(frozen=True, kw_only=True)
class MethodPrediction:
    """One method's prediction for an example."""

    label: str
    prediction: str
    rouge: float  # ROUGE-L, F1 in [0, 1]
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

    For a method with several seeds, the predictions are those of its first finished trial.
    """
    predictions = {
        row.label: {prediction.row: prediction for prediction in row.finished[0].predictions}
        for row in comparison.rows
        if row.finished
    }
    rows = sorted({row for by_row in predictions.values() for row in by_row})
    return tuple(_build_example(row, predictions) for row in pick_evenly(rows, count))


def pick_evenly(rows: list[int], count: int) -> list[int]:
    """Pick at most `count` rows with equal distances, including the first and the last."""
    if len(rows) <= count or count < 2:
        return rows[:count] if count < 2 else rows
    return [rows[round(i * (len(rows) - 1) / (count - 1))] for i in range(count)]


def _build_example(row: int, predictions: Mapping[str, Mapping[int, Prediction]]) -> Example:
    by_label = {label: by_row[row] for label, by_row in predictions.items() if row in by_row}
    first = next(iter(by_label.values()))
    best_score = max(prediction.scores["rougeL"] for prediction in by_label.values())
    return Example(
        row=row,
        source=truncate(first.source, CHARACTERS),
        reference=truncate(first.reference, CHARACTERS),
        predictions=tuple(
            MethodPrediction(
                label=label,
                prediction=truncate(prediction.prediction or "", CHARACTERS),
                rouge=prediction.scores["rougeL"],
                best=len(by_label) > 1 and prediction.scores["rougeL"] == best_score > 0,
            )
            for label, prediction in by_label.items()
        ),
    )
