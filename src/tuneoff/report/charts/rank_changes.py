"""Two rankings next to each other: one line per method, which cross where one method overtakes another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import Metric
from tuneoff.report.charts.canvas import Canvas, escape_labels, make_tooltip
from tuneoff.report.charts.colors import assign_colors
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_score
from tuneoff.report.side_by_side import find_common_ranks

if TYPE_CHECKING:
    import altair as alt

BAND = 40  # pixels of height for each rank


def draw_rank_changes(comparison: Comparison, other: Comparison) -> alt.LayerChart | None:
    """Draw the ranks of the methods that both comparisons rank, with `other` on the left.

    Ranks are drawn rather than scores, because scores of unequal settings cannot share an axis.
    """
    import altair as alt

    sides = zip(((comparison, 1), (other, 0)), find_common_ranks(comparison, other), strict=True)
    rows = [
        {
            "method": escape_control(label),
            "run": escape_control(ranking.run.recipe.name),
            "side": side,
            "place": place,
            "text": f"{escape_control(label)}  {_format_score_of(ranking, comparison.metric, label)}",
        }
        for (ranking, side), places in sides
        for label, place in places.items()
    ]
    if not rows:
        return None
    canvas = Canvas(rows=rows, palette=escape_labels(assign_colors(comparison, other)))
    _, last = canvas.find_extent(high="place", low="place")
    x = alt.X("side:Q", scale=alt.Scale(domain=[-0.6, 1.6], nice=False), axis=None)
    y = alt.Y("place:Q", scale=alt.Scale(domain=[0.2, last + 0.5], reverse=True, nice=False), axis=None)
    color, tooltip = canvas.encode_color(), make_tooltip("method", "run", "place")
    layers = [
        canvas.chart.mark_line(strokeWidth=3).encode(x=x, y=y, color=color),
        canvas.chart.mark_point(filled=True, size=150, opacity=1).encode(x=x, y=y, color=color, tooltip=tooltip),
    ]
    columns: tuple[tuple[int, Literal["left", "right"], int], ...] = ((0, "right", -14), (1, "left", 14))
    for side, align, offset in columns:
        column = canvas.chart.transform_filter(f"datum.side == {side}")
        heading = column.transform_filter("datum.place == 1")
        layers += [
            column.mark_text(align=align, dx=offset).encode(x=x, y=y, text="text:N"),
            heading.mark_text(align=align, dx=offset, opacity=0.7).encode(x=x, y=alt.value(8), text="run:N"),
        ]
    return canvas.combine(*layers, height=BAND * (last + 1))


def _format_score_of(comparison: Comparison, metric: Metric, label: str) -> str:
    (mean,) = [row.scores[metric.name].mean for row in comparison.rows if row.label == label]
    return format_score(metric, mean)
