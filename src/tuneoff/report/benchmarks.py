"""The table of benchmarks: a line for each task and metric, a column for each method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.benchmarks import Benchmark, compare_benchmarks
from tuneoff.analysis.change import Change
from tuneoff.analysis.comparison import Comparison
from tuneoff.report.format import format_signed, pluralize
from tuneoff.report.tables import format_csv

DECIMALS = 3


@dataclass(frozen=True, kw_only=True)
class BenchmarkCell:
    """A score, and its difference from the base model's as text; `style` is that of the cells of differences."""

    score: str
    change: str = ""
    style: str = ""
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class BenchmarkLine:
    """One metric of one task; None where a method has no score."""

    task: str
    detail: str
    cells: tuple[BenchmarkCell | None, ...]


@dataclass(frozen=True, kw_only=True)
class BenchmarkTable:
    """The lines of the table, and the label of each column."""

    labels: tuple[str, ...]
    lines: tuple[BenchmarkLine, ...]
    texts_cut: str  # what was cut, as a sentence; empty if nothing was


def build_benchmark_table(comparison: Comparison) -> BenchmarkTable | None:
    """Build the table, with the methods in the order of the ranking; None without benchmarks."""
    benchmarks = compare_benchmarks(comparison)
    if not benchmarks:
        return None
    labels = tuple(row.label for row in comparison.rows if row.label in benchmarks[0].scores)
    lines = tuple(
        BenchmarkLine(
            task=benchmark.task,
            detail=f"{benchmark.metric}, {'higher' if benchmark.higher_is_better else 'lower'} is better, "
            f"{pluralize(benchmark.examples, 'question')}",
            cells=tuple(_build_cell(benchmark, label) for label in labels),
        )
        for benchmark in benchmarks
    )
    return BenchmarkTable(labels=labels, lines=lines, texts_cut=_describe_cuts(comparison))


def _build_cell(benchmark: Benchmark, label: str) -> BenchmarkCell | None:
    if label not in benchmark.scores:
        return None
    score = f"{benchmark.scores[label].mean:.{DECIMALS}f}"
    change = benchmark.changes.get(label)
    if change is None:
        return BenchmarkCell(score=score)
    low, high = change.difference.low, change.difference.high
    return BenchmarkCell(
        score=score,
        change=f"{format_signed(change.difference.mean, DECIMALS)} "
        f"({format_signed(low, DECIMALS)} to {format_signed(high, DECIMALS)})",
        style=get_change_style(change),
        meaning=describe_change(change),
    )


def get_change_style(change: Change) -> str:
    """Return the classes of a cell with a change, which are those of a difference between two methods."""
    return f"{'ahead' if change.improves else 'behind'} {'better' if change.is_beyond_noise else 'open'}"


def describe_change(change: Change) -> str:
    """Say whether a change is shown."""
    if not change.knows_seed_variance:
        return "one run: how far another run would move is not known"
    if not change.is_beyond_noise:
        return "no change is shown"
    direction = "better" if change.improves else "worse"
    return f"{direction} than the base model; p = {change.p:.2g}, adjusted for all methods"


def _describe_cuts(comparison: Comparison) -> str:
    cuts = {
        row.label: max(record.facts.get("benchmark_texts_cut", 0) for record in row.finished)
        for row in comparison.rows
        if row.finished
    }
    worst = max(cuts, key=cuts.__getitem__, default=None)
    if worst is None or not cuts[worst]:
        return ""
    return f"Up to {pluralize(cuts[worst], 'text')} did not fit into the model's context and lost the beginning."


def format_benchmarks_csv(benchmarks: Sequence[Benchmark]) -> str:
    """Format all benchmarks as CSV, one line for each task, metric and method, in full precision."""
    return format_csv([dict(_list_cells(b, label)) for b in benchmarks for label in b.scores])


def _list_cells(benchmark: Benchmark, label: str) -> Iterator[tuple[str, Any]]:
    score, change = benchmark.scores[label], benchmark.changes.get(label)
    yield from {"task": benchmark.task, "metric": benchmark.metric, "method": label}.items()
    yield from {"questions": benchmark.examples, "score": score.mean, "low": score.low, "high": score.high}.items()
    difference = change.difference if change else None
    yield "change", difference and difference.mean
    yield "change_low", difference and difference.low
    yield "change_high", difference and difference.high
    yield "p", change.p if change and change.knows_seed_variance else None
