"""Two rankings beside each other: a line for each method, and a crossing wherever one overtakes another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts.canvas import Canvas, assign_colors, make_tooltip
from tuneoff.report.escape import escape_control
from tuneoff.report.format import ROUGE_L, format_score
from tuneoff.report.side_by_side import find_common_places

if TYPE_CHECKING:
    import altair as alt

BAND = 40  # pixels of height for each place


def draw_rank_changes(here: Comparison, there: Comparison) -> alt.LayerChart | None:
    """The places of the methods that both rank. Places, and not scores: those of unequal settings have no one axis."""
    import altair as alt

    sides = list(zip(((here, 1), (there, 0)), find_common_places(here, there), strict=True))
    rows = [
        {
            "method": escape_control(label),
            "run": escape_control(comparison.run.recipe.name),
            "side": side,
            "place": place,
            "said": f"{escape_control(label)}  {format_score(ROUGE_L, _score(comparison, label))}",
        }
        for (comparison, side), places in sides
        for label, place in places.items()
    ]
    if not rows:
        return None
    palette = {escape_control(label): colour for label, colour in assign_colors(here, there).items()}
    drawing = Canvas(rows=rows, palette=palette)
    _, last = drawing.ends(high="place", low="place")
    x = alt.X("side:Q", scale=alt.Scale(domain=[-0.6, 1.6], nice=False), axis=None)
    y = alt.Y("place:Q", scale=alt.Scale(domain=[0.2, last + 0.5], reverse=True, nice=False), axis=None)
    colour, said = drawing.colour(), make_tooltip("method", "run", "place")
    layers = [
        drawing.chart.mark_line(strokeWidth=3).encode(x=x, y=y, color=colour),
        drawing.chart.mark_point(filled=True, size=150, opacity=1).encode(x=x, y=y, color=colour, tooltip=said),
    ]
    ends: tuple[tuple[int, Literal["left", "right"], int], ...] = ((0, "right", -14), (1, "left", 14))
    for side, align, away in ends:
        column = drawing.chart.transform_filter(f"datum.side == {side}")
        heading = column.transform_filter("datum.place == 1")
        layers += [
            column.mark_text(align=align, dx=away).encode(x=x, y=y, text="said:N"),
            heading.mark_text(align=align, dx=away, opacity=0.7).encode(x=x, y=alt.value(8), text="run:N"),
        ]
    return drawing.layered(*layers, height=BAND * (last + 1))


def _score(comparison: Comparison, label: str) -> float:
    return next(row.scores[ROUGE_L.name].mean for row in comparison.rows if row.label == label)
