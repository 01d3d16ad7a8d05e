"""Benchmarks: the score of each method on each task, and its difference from the base model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tuneoff.analysis.change import Change, compare_to_base
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One metric of one task, for every method with finished trials."""

    task: str
    metric: str
    higher_is_better: bool
    examples: int
    scores: Mapping[str, Estimate]  # by label
    changes: Mapping[str, Change]  # by label, without the base model's; empty if the comparison has no base model


def compare_benchmarks(comparison: Comparison) -> tuple[Benchmark, ...]:
    """Compare the methods on each task, in the order of the records; empty without benchmarks.

    The statistics are those of the test split: the examples of a task are paired over methods, and runs with the same
    seed too.
    """
    rows = [row for row in comparison.rows if row.finished and all(r.benchmarks for r in row.finished)]
    if not rows:
        return ()
    tables = [_Scores(row) for row in rows]
    names = [name for name in tables[0].names if all(name in table.names for table in tables)]
    return tuple(_compare(comparison, name, rows, tables) for name in names)


def _compare(comparison: Comparison, name: tuple[str, str], rows: list[Row], tables: list[_Scores]) -> Benchmark:
    confidence = comparison.run.recipe.verdict.confidence
    matrices = [table.build_matrix(name) for table in tables]
    lower = rows[0].finished[0].facts.get("lower_is_better", ())
    task, metric = name
    higher_is_better = f"{task}/{metric.split(',')[0]}" not in lower
    by_label = {row.label: matrix for row, matrix in zip(rows, matrices, strict=True)}
    base = next((row.label for row in rows if row.is_base), None)
    return Benchmark(
        task=task,
        metric=metric,
        higher_is_better=higher_is_better,
        examples=matrices[0].examples,
        scores={label: estimate_mean(matrix, confidence) for label, matrix in by_label.items()},
        changes=compare_to_base(by_label, base, confidence, higher_is_better=higher_is_better),
    )


@dataclass(frozen=True)
class _Scores:
    """The benchmarks of one method's finished trials."""

    row: Row

    @cached_property
    def names(self) -> dict[tuple[str, str], None]:
        """Each task with each of its metrics, in the order of the records."""
        return {(b.task, metric): None for b in self.row.finished[0].benchmarks for metric in b.scores}

    def build_matrix(self, name: tuple[str, str]) -> ScoreMatrix:
        """The scores of a task by a metric, seed by example."""
        task, metric = name
        scores_SE = [
            [b.scores[metric] for b in record.benchmarks if b.task == task and metric in b.scores]
            for record in self.row.finished
        ]
        numerators_SE = np.array(scores_SE, dtype=float)
        seeds = tuple(record.trial.seed for record in self.row.finished)
        ones_E = np.ones(numerators_SE.shape[1])
        counts = np.isin(numerators_SE, (0.0, 1.0)).all()  # examples that are right or wrong; the record does not say
        return ScoreMatrix(
            numerators_SE, ones_E, seed_ids=seeds, trained=self.row.depends_on_seed, step=1.0 if counts else 0.0
        )
