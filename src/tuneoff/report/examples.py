"""Test examples side by side: the same source, answered by every method."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.records.record import Prediction
from tuneoff.report.escape import truncate

SHOWN = 10
CHARACTERS = 20_000  # of a text: a few pages of a book; a page of ten whole ones could fill a browser's memory


@dataclass(frozen=True, kw_only=True)
class Side:
    """One method's answer."""

    label: str
    prediction: str
    rouge: float  # ROUGE-L, F1 in [0, 1]
    best: bool


@dataclass(frozen=True, kw_only=True)
class Example:
    """A test example with the answers of all methods, in the order of the comparison."""

    row: int
    source: str
    reference: str
    sides: tuple[Side, ...]


def choose_examples(comparison: Comparison, shown: int = SHOWN) -> tuple[Example, ...]:
    """Examples evenly spread over the test split, from first to last: chosen by place alone, so not to please.

    Where a method was trained with several seeds, its first finished one answers.
    """
    answers = {
        row.label: {answer.row: answer for answer in row.finished[0].predictions}
        for row in comparison.rows
        if row.finished
    }
    rows = sorted({row for by_row in answers.values() for row in by_row})
    return tuple(_example(row, answers) for row in pick_evenly(rows, shown))


def pick_evenly(rows: list[int], count: int) -> list[int]:
    """At most `count` of the rows, the first and the last among them, with equal distances between."""
    if len(rows) <= count or count < 2:
        return rows[:count] if count < 2 else rows
    return [rows[round(i * (len(rows) - 1) / (count - 1))] for i in range(count)]


def _example(row: int, answers: Mapping[str, Mapping[int, Prediction]]) -> Example:
    given = {label: by_row[row] for label, by_row in answers.items() if row in by_row}
    first = next(iter(given.values()))
    best = max(answer.rouge["rougeL"] for answer in given.values())
    sides = (
        Side(
            label=label,
            prediction=truncate(answer.prediction, CHARACTERS),
            rouge=answer.rouge["rougeL"],
            best=len(given) > 1 and answer.rouge["rougeL"] == best > 0,
        )
        for label, answer in given.items()
    )
    return Example(
        row=row,
        source=truncate(first.source, CHARACTERS),
        reference=truncate(first.reference, CHARACTERS),
        sides=tuple(sides),
    )
