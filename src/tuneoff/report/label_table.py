"""How well each method predicts each label, and which labels it takes for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.metrics import Answer
from tuneoff.metrics.labels import ACCURACY, MACRO_F1, OTHER, Confusion, count_confusion
from tuneoff.report.escape import escape_control

MOST_CLASSES = 20  # in a table; of more, the most frequent ones


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The counts of one method, over all its seeds: a row for each label, a column for each prediction."""

    label: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]  # each with its label, in the order of the columns
    runs: int  # that are counted together


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The F1 of each label by method, × 100, and a confusion matrix for each method."""

    methods: tuple[str, ...]
    classes: tuple[tuple[str, int, tuple[str, ...]], ...]  # label, test examples, F1 of each method
    matrices: tuple[Matrix, ...]
    left_out: int  # labels that are not shown


def build_label_table(comparison: Comparison) -> LabelTable | None:
    """Build the tables; None if labels are not what the comparison is about."""
    names = {metric.name for metric in comparison.metrics}
    rows = [row for row in comparison.rows if row.finished]
    if not names & {ACCURACY.name, MACRO_F1.name} or not rows:
        return None
    confusions = {row.label: _count(row) for row in rows}
    first = next(iter(confusions.values()))
    frequent = sorted(first.classes, key=lambda name: -first.count_true(name))
    shown = tuple(frequent[:MOST_CLASSES])
    seeds = len(rows[0].finished)
    return LabelTable(
        methods=tuple(escape_control(label) for label in confusions),
        classes=tuple(
            (
                escape_control(name),
                first.count_true(name) // seeds,
                tuple(f"{100 * confusion.compute_f1(name):.1f}" for confusion in confusions.values()),
            )
            for name in shown
        ),
        matrices=tuple(_build_matrix(row, confusions[row.label], shown) for row in rows),
        left_out=len(frequent) - len(shown),
    )


def _count(row: Row) -> Confusion:
    """Count over all seeds; of several samples, the first."""
    counts: Counter[tuple[str, str]] = Counter()
    for record in row.finished:
        answers = [Answer(prediction=p.prediction or "", references=p.accepted) for p in record.predictions]
        confusion = count_confusion(answers)
        counts += confusion.counts
    return Confusion(classes=confusion.classes, counts=counts)


def _build_matrix(row: Row, confusion: Confusion, shown: tuple[str, ...]) -> Matrix:
    """Count predictions that are no label, or none that is shown, in a column of their own."""
    rows = []
    for name in shown:
        counts = [confusion.counts[name, predicted] for predicted in shown]
        rows.append((escape_control(name), (*counts, confusion.count_true(name) - sum(counts))))
    return Matrix(
        label=escape_control(row.label),
        columns=(*map(escape_control, shown), OTHER),
        rows=tuple(rows),
        runs=len(row.finished),
    )
