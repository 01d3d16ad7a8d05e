"""The leaderboard as values: which columns there are, what each means, and each row's cells.

The page, Markdown, LaTeX and the terminal show these same cells, so that no number is said twice differently.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.row import Row
from tuneoff.records.metrics import LOSS, METRICS, Metric
from tuneoff.report.escape import escape_control
from tuneoff.report.format import MINUS, format_cost, format_interval, format_score

NOTHING = "–"
BRIEF = ("rougeL", "rouge1", "rouge2", "loss", "trainable", "train_seconds", "training_memory", "adapter_bytes")
INTERVAL_IN_BRIEF = ("rougeL", "loss")

MEANINGS = {  # of columns that are neither a metric nor a cost
    "perplexity": "The exponential of the evaluation loss: how many tokens the model hesitates between.",
    "forgetting": "Loss per token on text unrelated to the data, minus the base model's; above zero, something was "
    "forgotten.",
    "overfitting": "Loss on training examples minus loss on validation, with the weights that were kept; far below "
    "zero, examples were memorized.",
    "seeds": "Trainings that the row is the mean of.",
}


MEASURED: tuple[tuple[str, str, Callable[[Comparison, Row], float | None]], ...] = (
    ("forgetting", "Forgetting", lambda comparison, row: comparison.compute_forgetting(row)),
    ("overfitting", "Overfitting gap", lambda _, row: row.overfitting),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number as it is shown; `best` in its column among the rows that compete, `tied` with the best."""

    text: str
    interval: str = ""
    best: bool = False
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """One heading and its cells, in the order of the comparison's rows."""

    name: str
    title: str
    unit: str
    meaning: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The comparison's rows as columns of cells, and what each row is called."""

    labels: tuple[str, ...]
    names: tuple[str, ...]  # the label, and the status where it is not simply done
    reasons: tuple[str, ...]  # why trials of the row have no score; empty where all have
    columns: tuple[Column, ...]

    def only(self, names: Sequence[str]) -> tuple[Column, ...]:
        """Some of the columns, in the order asked for."""
        named = {column.name: column for column in self.columns}
        return tuple(named[name] for name in names)


def build_leaderboard(comparison: Comparison) -> Leaderboard:
    """The cells of a comparison."""
    columns = [
        *(_score_column(comparison, m) for m in METRICS.values()),
        _perplexity_column(comparison),
        *(_measured_column(comparison, *measure) for measure in MEASURED),
        *(_cost_column(comparison, c) for c in COSTS.values()),
    ]
    if any(len(row.finished) > 1 for row in comparison.rows):
        columns.append(_column("seeds", "Seeds", "", [str(len(row.finished)) for row in comparison.rows]))
    return Leaderboard(
        labels=tuple(escape_control(row.label) for row in comparison.rows),
        names=tuple(map(_name, comparison.rows)),
        reasons=tuple(map(_reasons, comparison.rows)),
        columns=tuple(columns),
    )


def _score_column(comparison: Comparison, metric: Metric) -> Column:
    ranked = comparison.rank(metric)
    best = ranked[0] if len(ranked) > 1 else None

    def cell(row: Row) -> Cell:
        if metric.name not in row.scores:
            return Cell(text=NOTHING)
        estimate = row.scores[metric.name]
        apart = comparison.find_pair(metric, best, row) if best and row is not best else None
        return Cell(
            text=format_score(metric, estimate.mean),
            interval=format_interval(metric, estimate),
            best=row is best,
            tied=apart is not None and apart.decision != "different",
        )

    return Column(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        meaning=metric.meaning,
        cells=tuple(map(cell, comparison.rows)),
    )


def _perplexity_column(comparison: Comparison) -> Column:
    """The loss once more, as the number of tokens that the model hesitates between; so it is marked nowhere."""

    def cell(row: Row) -> Cell:
        loss = row.scores.get(LOSS.name)
        if loss is None:
            return Cell(text=NOTHING)
        low, mean, high = (f"{_exp(nats):,.1f}" for nats in (loss.low, loss.mean, loss.high))
        return Cell(text=mean, interval=f"{low} to {high}")

    return Column(
        name="perplexity",
        title="Perplexity",
        unit="",
        meaning=MEANINGS["perplexity"],
        cells=tuple(map(cell, comparison.rows)),
    )


def _measured_column(
    comparison: Comparison, name: str, title: str, of: Callable[[Comparison, Row], float | None]
) -> Column:
    """A difference of losses, a mean over seeds; a sign is part of the number."""
    values = [of(comparison, row) for row in comparison.rows]
    texts = [NOTHING if value is None else f"{value:+.3f}".replace("-", MINUS) for value in values]
    return _column(name, title, "nats per token", texts)


def _column(name: str, title: str, unit: str, texts: Sequence[str]) -> Column:
    """A column whose cells do not compete."""
    cells = tuple(Cell(text=text) for text in texts)
    return Column(name=name, title=title, unit=unit, meaning=MEANINGS[name], cells=cells)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _cost_column(comparison: Comparison, cost: Cost) -> Column:
    competing = [row for row in comparison.rows if _competes(comparison, row) and cost.name in row.costs]
    choose: Callable[..., float] = max if cost.higher_is_better else min
    best = choose(row.costs[cost.name] for row in competing) if len(competing) > 1 else None

    def cell(row: Row) -> Cell:
        if not _spent(comparison, row, cost):
            return Cell(text=NOTHING)
        value = row.costs[cost.name]
        return Cell(text=format_cost(cost, value), best=row in competing and value == best)

    return Column(
        name=cost.name,
        title=cost.title,
        unit=cost.unit,
        meaning=cost.meaning,
        cells=tuple(map(cell, comparison.rows)),
    )


def _competes(comparison: Comparison, row: Row) -> bool:
    """The untouched model is cheapest by doing nothing, and a diverged training saved nothing worth its price."""
    return bool(row.finished) and not row.is_base


def _spent(comparison: Comparison, row: Row, cost: Cost) -> bool:
    """Whether the row has the cost; seconds and bytes of a training that never was are nothing, and not zero."""
    if cost.name not in row.costs:
        return False
    return not row.is_base or cost.name in {"trainable", "share"} or row.costs[cost.name] > 0


def _name(row: Row) -> str:
    statuses = [record.status for record in row.records]
    if not row.finished:
        return f"{escape_control(row.label)} ({' and '.join(dict.fromkeys(statuses))})"
    if len(row.finished) < len(row.records):
        return f"{escape_control(row.label)} ({len(row.finished)} of {len(row.records)} seeds)"
    return escape_control(row.label)


def _reasons(row: Row) -> str:
    broken = [record for record in row.records if record.status != "done"]
    seed = len(row.records) > 1
    return " ".join(
        f"{'Seed ' + str(r.trial.seed) + ' ' if seed else ''}{r.status}: {escape_control(r.reason or 'no reason recorded')}"
        for r in broken
    )
