"""The figures: a comparison's numbers as altair charts, one colour for each method in all of them.

A chart holds its data as rows of plain values, so that what is drawn can also be written as CSV. Bars start at
zero, on a logarithmic axis at one; what would hide its differences that way is drawn as points with intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneoff.report.charts.bars import (
    draw_evaluation_loss,
    draw_peak_memory,
    draw_rouge,
    draw_slowest_epoch,
    draw_trainable_parameters,
)
from tuneoff.report.charts.canvas import assign_colors, get_memory_kind
from tuneoff.report.charts.curves import draw_loss_by_epoch
from tuneoff.report.charts.pareto import draw_quality_against
from tuneoff.report.charts.rank_changes import draw_rank_changes
from tuneoff.report.charts.search import draw_expected_by_budget, draw_scores_by_rate

if TYPE_CHECKING:
    import altair as alt

    from tuneoff.analysis.comparison import Comparison

FIGURES = {
    "trainable-parameters": "Trainable parameters",
    "slowest-epoch": "Slowest epoch",
    "peak-memory": "Peak memory of training",
    "evaluation-loss": "Evaluation loss",
    "rouge": "ROUGE",
}
CURVES = {"validation-loss": "Validation loss", "train-loss": "Train loss"}
TRADE_OFFS = {
    "quality-time": "ROUGE-L against training time",
    "quality-memory": "ROUGE-L against peak memory",
    "quality-parameters": "ROUGE-L against parameters",
}
SEARCHES = {
    "search-rates": "Validation score by learning rate",
    "search-budget": "Expected best validation score by tuning budget",
}
BESIDE = {"ranks": "Places by ROUGE-L"}
TITLES = {**FIGURES, **CURVES, **TRADE_OFFS, **SEARCHES, **BESIDE}


def draw(comparison: Comparison, against: Comparison | None = None) -> dict[str, alt.LayerChart]:
    """Every figure that the comparison has numbers for, by name; with another, both rankings beside each other."""
    memory = f"GB {get_memory_kind(comparison)}"
    charts = {
        "trainable-parameters": draw_trainable_parameters(comparison),
        "slowest-epoch": draw_slowest_epoch(comparison),
        "peak-memory": draw_peak_memory(comparison),
        "evaluation-loss": draw_evaluation_loss(comparison),
        "rouge": draw_rouge(comparison),
        "validation-loss": draw_loss_by_epoch(comparison, "validation_loss", "nats per target token, validation split"),
        "train-loss": draw_loss_by_epoch(comparison, "train_loss", "nats per scored token, while training"),
        "quality-time": draw_quality_against(comparison, "train_seconds", "seconds of training"),
        "quality-memory": draw_quality_against(
            comparison, "training_memory", f"peak of training, {memory}", scale=1e-9
        ),
        "quality-parameters": draw_quality_against(
            comparison, "trainable", "trainable parameters, logarithmic", log=True
        ),
        "search-rates": draw_scores_by_rate(comparison),
        "search-budget": draw_expected_by_budget(comparison),
        "ranks": draw_rank_changes(comparison, against) if against else None,
    }
    return {
        name: chart.properties(description=TITLES[name]) for name, chart in charts.items() if chart is not None
    }  # fmt: skip


__all__ = ["CURVES", "FIGURES", "SEARCHES", "TITLES", "TRADE_OFFS", "assign_colors", "draw"]
