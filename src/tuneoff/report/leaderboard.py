"""The leaderboard as values: its columns, what each means, and the cells of each row.

The page, Markdown, LaTeX and the terminal show these same cells, so a number has the same digits everywhere.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tuneoff.analysis.amount import Amount
from tuneoff.analysis.cheapest import keep_lowest
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.row import Row
from tuneoff.metrics import LOSS, Metric, compute_perplexity
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    NOTHING,
    format_cost,
    format_cost_interval,
    format_interval,
    format_score,
    format_signed,
    join_list,
)
from tuneoff.report.main_metrics import list_main_metrics
from tuneoff.report.sentences.lost import MEANING as MEANING_OF_LOST
from tuneoff.report.sentences.lost import count_lost_runs

BRIEF_METRICS = 3  # of the generated text, on paper
BRIEF_COSTS = ("trainable", "train_seconds", "training_memory", "adapter_bytes")
TIED = "≈"  # after a score that is not shown to be worse than the best

MEANINGS = {  # of columns that are neither a metric nor a cost
    "perplexity": "Exponential of the evaluation loss: the number of equally likely tokens with the same loss.",
    "forgetting": "Loss per token on text unrelated to the data, minus the base model's. Above zero, the model has "
    "become worse at such text.",
    "overfitting": "Loss on training examples minus loss on validation, with the weights that were kept. Far below "
    "zero, the model has memorized examples.",
    "seeds": "Number of seeds that the row averages over.",
}
MEASURED: tuple[tuple[str, str, Callable[[Comparison, Row], Amount | None]], ...] = (
    ("forgetting", "Forgetting", lambda comparison, row: comparison.estimate_forgetting(row)),
    (
        "overfitting",
        "Overfitting gap",
        lambda comparison, row: row.estimate_overfitting(comparison.run.recipe.verdict.confidence),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number as it is shown.

    `best` is the best of its column among the competing rows, `tied` is not shown to be worse. Several costs are the
    best if they differ by noise only. A score is neither where a method was trained once, because how far another run
    would move is not known.
    """

    text: str
    interval: str = ""
    with_lost: str = ""  # the score with lost runs counted as the base model's; empty where none was lost
    best: bool = False
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """A heading and its cells, in the order of the comparison's rows."""

    name: str
    title: str
    unit: str
    meaning: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The rows of a comparison as columns of cells, and the name of each row."""

    labels: tuple[str, ...]
    names: tuple[str, ...]  # the label, with the status unless all trials are done
    reasons: tuple[str, ...]  # why trials of the row have no score; empty where all have one
    columns: tuple[Column, ...]
    brief: tuple[str, ...]  # the columns that fit on paper, the primary metric's first
    with_interval: tuple[str, ...]  # those of `brief` with their intervals

    def select(self, names: Sequence[str]) -> tuple[Column, ...]:
        """Return the named columns, in that order."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in names)


def build_leaderboard(comparison: Comparison) -> Leaderboard:
    """Build all columns of a comparison."""
    columns = [
        *(_build_score_column(comparison, metric) for metric in comparison.metrics),
        _build_perplexity_column(comparison),
        *(_build_difference_column(comparison, *measure) for measure in MEASURED),
        *(_build_cost_column(comparison, cost) for cost in COSTS.values()),
    ]
    if any(len(row.finished) > 1 for row in comparison.rows):
        columns.append(_build_plain_column("seeds", "Seeds", "", [str(len(row.finished)) for row in comparison.rows]))
    return Leaderboard(
        labels=tuple(escape_control(row.label) for row in comparison.rows),
        names=tuple(_name_row(comparison, row) for row in comparison.rows),
        reasons=tuple(map(_describe_reasons, comparison.rows)),
        columns=tuple(columns),
        brief=_list_brief(comparison),
        with_interval=tuple(metric.name for metric in list_main_metrics(comparison)),
    )


def _list_brief(comparison: Comparison) -> tuple[str, ...]:
    """List the columns that fit on paper: the first metrics of text, the loss and the main costs."""
    of_text = [metric.name for metric in comparison.metrics if metric is not LOSS][:BRIEF_METRICS]
    names = (LOSS.name, *of_text) if comparison.metric is LOSS else (*of_text, LOSS.name)
    return (*names, *BRIEF_COSTS)


def list_footnotes(comparison: Comparison) -> Iterator[str]:
    """Yield what a lost run is, and which methods have one finished run."""
    if any(comparison.assess(row).lost for row in comparison.rows):
        yield MEANING_OF_LOST
    repeatable = [row for row in comparison.rows if row.finished and row.depends_on_seed]
    single = [row for row in repeatable if row.has_one_finished_run]
    if single:
        subject = "Each method" if single == repeatable else join_list([escape_control(row.label) for row in single])
        has = "have" if len(single) > 1 and single != repeatable else "has"
        yield f"{subject} {has} one finished run, and how far another run would move is not known."


def list_misfits(comparison: Comparison) -> Iterator[str]:
    """Yield which methods of the recipe do not fit the model, with the reason."""
    model = escape_control(comparison.run.recipe.model.name)
    for label, reason in comparison.run.misfits.items():
        yield f"{escape_control(label)} does not fit {model}: {escape_control(reason).rstrip('.')}."


def _build_score_column(comparison: Comparison, metric: Metric) -> Column:
    ranked = comparison.rank(metric)
    best = ranked[0] if len(ranked) > 1 else None
    is_known = all(pair.paired.knows_seed_variance for pair in comparison.get_pairs(metric) if pair.better is best)

    def build_cell(row: Row) -> Cell:
        if metric.name not in row.scores:
            return Cell(text=NOTHING)
        estimate = row.scores[metric.name]
        pair = comparison.find_pair(metric, best, row) if best and row is not best else None
        with_lost = count_lost_runs(comparison, row, metric)
        return Cell(
            text=format_score(metric, estimate.mean),
            interval=format_interval(metric, estimate),
            with_lost=format_score(metric, with_lost.mean) if with_lost else "",
            best=row is best and is_known,
            tied=pair is not None
            and pair.paired.knows_seed_variance
            and not pair.is_beyond_noise
            and not comparison.is_dropped(row, metric),
        )

    return _build_column(metric.name, metric.title, metric.unit, metric.meaning, map(build_cell, comparison.rows))


def _build_perplexity_column(comparison: Comparison) -> Column:
    """Build the loss once more as perplexity. The loss column already marks the best."""

    def build_cell(row: Row) -> Cell:
        loss = row.scores.get(LOSS.name)
        if loss is None:
            return Cell(text=NOTHING)
        low, mean, high = (f"{compute_perplexity(nats):,.1f}" for nats in (loss.low, loss.mean, loss.high))
        return Cell(text=mean, interval=f"{low} to {high}")

    return _build_column("perplexity", "Perplexity", "", MEANINGS["perplexity"], map(build_cell, comparison.rows))


def _build_difference_column(
    comparison: Comparison, name: str, title: str, measure: Callable[[Comparison, Row], Amount | None]
) -> Column:
    """Build a column of loss differences over seeds, which always have a sign."""
    unit = "nats per token"

    def build_cell(row: Row) -> Cell:
        amount = measure(comparison, row)
        if amount is None:
            return Cell(text=NOTHING)
        interval = " to ".join(format_signed(end, 3) for end in amount.interval or ())
        return Cell(text=format_signed(amount.mean, 3), interval=interval)

    return _build_column(name, title, unit, MEANINGS[name], map(build_cell, comparison.rows))


def _build_cost_column(comparison: Comparison, cost: Cost) -> Column:
    """Build a column in which all rows that cost the same as the lowest are the best, unless all do."""
    competing = [row for row in comparison.rows if _competes(row) and cost.name in row.costs]
    lowest = keep_lowest(comparison, cost, competing) if len(competing) > 1 else ()
    best = {row.label for row in lowest} if len(lowest) < len(competing) else set()

    def build_cell(row: Row) -> Cell:
        if not _has_cost(row, cost):
            return Cell(text=NOTHING)
        amount = row.amounts[cost.name]
        return Cell(
            text=format_cost(cost, amount.mean),
            interval=format_cost_interval(cost, amount),
            best=row.label in best,
        )

    return _build_column(cost.name, cost.title, cost.unit, cost.meaning, map(build_cell, comparison.rows))


def _build_plain_column(name: str, title: str, unit: str, texts: Sequence[str]) -> Column:
    """Build a column in which no cell is marked as best."""
    return _build_column(name, title, unit, MEANINGS[name], (Cell(text=text) for text in texts))


def _build_column(name: str, title: str, unit: str, meaning: str, cells: Iterable[Cell]) -> Column:
    return Column(name=name, title=title, unit=unit, meaning=meaning, cells=tuple(cells))


def _competes(row: Row) -> bool:
    """Return whether a low cost of the row is an advantage. The base model trains nothing, however it is asked, and a
    diverged training has no result."""
    return bool(row.finished) and row.trains


def _has_cost(row: Row, cost: Cost) -> bool:
    """Return whether the row has the cost. The base model has no training, not one of zero seconds and bytes."""
    if cost.name not in row.costs:
        return False
    return row.trains or cost.name in {"trainable", "share"} or row.costs[cost.name] > 0


def _name_row(comparison: Comparison, row: Row) -> str:
    label = escape_control(row.label)
    if not row.finished:
        return f"{label} ({' and '.join(dict.fromkeys(record.status for record in row.records))})"
    if lost := comparison.assess(row).lost:
        return f"{label} ({len(lost)} of {len(row.records)} lost)"
    return label


def _describe_reasons(row: Row) -> str:
    reasons = []
    for record in row.records:
        if record.status != "done":
            seed = f"Seed {record.trial.seed} " if len(row.records) > 1 else ""
            reasons.append(f"{seed}{record.status}: {escape_control(record.reason or 'no reason recorded')}")
    return "; ".join(reasons)
