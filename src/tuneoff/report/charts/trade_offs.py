"""Quality against cost: what more seconds, bytes or parameters bought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneoff.comparison import Comparison
from tuneoff.report.charts.canvas import canvas, cost_named, score_row, tooltip
from tuneoff.report.words import ROUGE_L, cost_in_words

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 280


def quality_against(
    comparison: Comparison, name: str, title: str, *, scale: float = 1, log: bool = False
) -> alt.LayerChart | None:
    """Test ROUGE-L with its interval over a cost; the untouched model, which cost nothing, is a line across."""
    import altair as alt

    cost = cost_named(name)
    scored = comparison.ranked(ROUGE_L)
    trained = [row for row in scored if row is not comparison.base and row.costs.get(name)]
    if not trained:
        return None
    rows = [
        {
            **score_row(row, ROUGE_L),
            "untouched": row is comparison.base,
            "cost": row.costs.get(name, 0) * scale,
            "price": cost_in_words(cost, row.costs.get(name, 0)),
        }
        for row in scored
        if row in trained or row is comparison.base
    ]
    drawing = canvas(comparison, rows)
    low, high = drawing.ends("low", "high")
    margin = 0.08 * (high - low) or 1
    costs = [row.costs[name] * scale for row in trained]
    x = alt.X(
        "cost:Q",
        title=title,
        scale=alt.Scale(
            type="log" if log else "linear",
            domain=[min(costs) / 4, max(costs) * 40] if log else [0, max(costs) * 1.3],
            nice=False,
        ),
        axis=alt.Axis(tickCount=5, format="~s" if log else "~g", grid=False),
    )
    y = alt.Y("low:Q", title="test ROUGE-L, F1 × 100", scale=alt.Scale(domain=[low - margin, high + margin]))
    tuned = drawing.chart.transform_filter("!datum.untouched")
    untouched = drawing.chart.transform_filter("datum.untouched")
    colour, said = drawing.colour(), tooltip("method", "exact", "interval", "price")
    return drawing.layered(
        untouched.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(
            y="value:Q", color=colour, tooltip=tooltip("method", "exact", "interval")
        ),
        untouched.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11).encode(
            x=alt.value(0), y="value:Q", text="method:N", color=colour
        ),
        tuned.mark_rule(strokeWidth=2, opacity=0.55, strokeCap="round").encode(
            x=x, y=y, y2="high:Q", color=colour, tooltip=said
        ),
        tuned.mark_point(size=130, filled=True, opacity=1).encode(x=x, y="value:Q", color=colour, tooltip=said),
        tuned.mark_text(align="left", dx=10).encode(x=x, y="value:Q", text="method:N"),
        height=HEIGHT,
    )
