"""The figures of a comparison, as altair charts with one color per method.

A chart holds its data as rows of plain values, so that the data of a figure can also be written as CSV. Bars start at
zero, or at one on a logarithmic axis. Values whose differences this would hide are drawn as points with intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneoff.metrics.rouge import TYPES as ROUGE_TYPES
from tuneoff.report.charts.bars import (
    draw_evaluation_loss,
    draw_peak_memory,
    draw_points,
    draw_scores,
    draw_slowest_epoch,
    draw_trainable_parameters,
    list_other_metrics,
    list_percent_metrics,
)
from tuneoff.report.charts.colors import assign_colors
from tuneoff.report.charts.expected_best import draw_expected_by_budget
from tuneoff.report.charts.learning_curves import draw_loss_by_step
from tuneoff.report.charts.measured import draw_served_times
from tuneoff.report.charts.rank_changes import draw_rank_changes
from tuneoff.report.charts.rows import get_memory_kind
from tuneoff.report.charts.search_scores import draw_scores_by_rate
from tuneoff.report.charts.trade_offs import draw_quality_against

if TYPE_CHECKING:
    from collections.abc import Mapping

    import altair as alt

    from tuneoff.analysis.comparison import Comparison

# Titles by name, in which {metric} is the primary one, and {scores} are those from 0 to 100. The names are also those
# of the files in a run directory.
FIGURES = {
    "trainable-parameters": "Trainable parameters",
    "slowest-epoch": "Slowest epoch",
    "peak-memory": "Peak training memory",
    "evaluation-loss": "Evaluation loss",
    "scores": "{scores}",
}
CURVES = {"validation-loss": "Validation loss", "train-loss": "Training loss"}
TRADE_OFFS = {
    "quality-time": "{metric} by training time",
    "quality-memory": "{metric} by peak training memory",
    "quality-parameters": "{metric} by trainable parameters",
}
SEARCHES = {
    "search-rates": "Validation score by learning rate",
    "search-budget": "Expected best validation score by search budget",
}
SERVED = {
    "served-tokens": "Time for each token, relative to the base model",
    "served-prefill": "Time to the first token, relative to the base model",
}
SIDE_BY_SIDE = {"ranks": "Ranks by {metric}"}
OLD = {"rouge": "ROUGE"}  # figures that only older versions write, so that they are removed
_TITLES = {**FIGURES, **CURVES, **TRADE_OFFS, **SEARCHES, **SERVED, **SIDE_BY_SIDE, **OLD}


def list_titles(comparison: Comparison) -> dict[str, str]:
    """Return the title of every figure that a comparison may have, by name."""
    metric, scores = comparison.metric.title, _name_scores(comparison)
    titles = {name: title.format(metric=metric, scores=scores) for name, title in _TITLES.items()}
    return titles | _list_own_titles(comparison)


def add_own_figures(titles: Mapping[str, str], comparison: Comparison) -> dict[str, str]:
    """Return the titles of a section, with those of metrics that have a figure of their own where scores are."""
    return {**titles, **(_list_own_titles(comparison) if "scores" in titles else {})}


def _list_own_titles(comparison: Comparison) -> dict[str, str]:
    return {f"score-{metric.name}": metric.title for metric in list_other_metrics(comparison)}


def _name_scores(comparison: Comparison) -> str:
    """Return what the metrics in one chart are together."""
    metrics = list_percent_metrics(comparison)
    if len(metrics) == 1:
        return metrics[0].title
    return "ROUGE" if metrics and all(metric.name in ROUGE_TYPES for metric in metrics) else "Scores of the predictions"


def draw_figures(comparison: Comparison, against: Comparison | None = None) -> dict[str, alt.LayerChart]:
    """Return every figure that the comparison has data for, by name. `against` adds a figure of both rankings."""
    memory = f"peak training memory in GB ({get_memory_kind(comparison)})"
    parameters = "trainable parameters (log scale)"
    charts = {
        "trainable-parameters": draw_trainable_parameters(comparison),
        "slowest-epoch": draw_slowest_epoch(comparison),
        "peak-memory": draw_peak_memory(comparison),
        "evaluation-loss": draw_evaluation_loss(comparison),
        "scores": draw_scores(comparison),
        "validation-loss": draw_loss_by_step(comparison, "validation_loss", "nats per target token, validation split"),
        "train-loss": draw_loss_by_step(comparison, "train_loss", "nats per scored token, during training"),
        "quality-time": draw_quality_against(comparison, "train_seconds", "training time in seconds"),
        "quality-memory": draw_quality_against(comparison, "training_memory", memory, scale=1e-9),
        "quality-parameters": draw_quality_against(comparison, "trainable", parameters, log=True),
        "search-rates": draw_scores_by_rate(comparison),
        "search-budget": draw_expected_by_budget(comparison),
        "served-tokens": draw_served_times(comparison, "token"),
        "served-prefill": draw_served_times(comparison, "prefill"),
        "ranks": draw_rank_changes(comparison, against) if against else None,
    }
    charts |= {f"score-{metric.name}": draw_points(comparison, metric) for metric in list_other_metrics(comparison)}
    titles = list_titles(comparison)
    return {name: chart.properties(description=titles[name]) for name, chart in charts.items() if chart is not None}


__all__ = [
    "CURVES",
    "FIGURES",
    "SEARCHES",
    "SERVED",
    "TRADE_OFFS",
    "add_own_figures",
    "assign_colors",
    "draw_figures",
    "list_titles",
]
