"""Quality against cost: what more seconds, bytes or parameters bought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts.canvas import get_cost, list_powers_of_ten, make_canvas, make_score_row, make_tooltip
from tuneoff.report.format import ROUGE_L, format_cost

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 280


def draw_quality_against(
    comparison: Comparison, name: str, title: str, *, scale: float = 1, log: bool = False
) -> alt.LayerChart | None:
    """Test ROUGE-L with its interval over a cost; the untouched model, which cost nothing, is a line across.

    The methods on the front are filled and joined by steps, the others hollow. A point in the outer part of the axis
    has its name on the left, where there is room for it.
    """
    import altair as alt

    cost = get_cost(name)
    scored = comparison.ranked(ROUGE_L)
    trained = [row for row in scored if row is not comparison.base and row.costs.get(name)]
    if not trained:
        return None
    costs = [row.costs[name] * scale for row in trained]
    front = comparison.front(ROUGE_L, cost)
    rows = [
        {
            **make_score_row(row, ROUGE_L),
            "untouched": row is comparison.base,
            "outer": row is not comparison.base and _place(row.costs[name] * scale, _domain(costs, log), log) > 0.6,
            "front": "yes" if row.label in front else "no",
            "cost": row.costs.get(name, 0) * scale,
            "price": format_cost(cost, row.costs.get(name, 0)),
        }
        for row in scored
        if row in trained or row is comparison.base
    ]
    drawing = make_canvas(comparison, rows)
    low, high = drawing.ends("low", "high")
    margin = 0.08 * (high - low) or 1
    x = alt.X(
        "cost:Q",
        title=title,
        scale=alt.Scale(type="log" if log else "linear", domain=_domain(costs, log), nice=False),
        axis=alt.Axis(values=list_powers_of_ten(*_domain(costs, log)), format="~s", grid=False)
        if log
        else alt.Axis(tickCount=5, format=",~f", grid=False),
    )
    level = alt.Scale(domain=[low - margin, high + margin], nice=False)
    score = alt.Y("value:Q", scale=level, title="test ROUGE-L, F1 × 100")
    tuned = drawing.chart.transform_filter("!datum.untouched")
    untouched = drawing.chart.transform_filter("datum.untouched")
    on_front, off_front = tuned.transform_filter("datum.front == 'yes'"), tuned.transform_filter("datum.front == 'no'")
    inner, outer = tuned.transform_filter("!datum.outer"), tuned.transform_filter("datum.outer")
    colour, said = drawing.colour(), make_tooltip("method", "exact", "interval", "price", "front")
    return drawing.layered(
        untouched.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(
            y=score, color=colour, tooltip=make_tooltip("method", "exact", "interval")
        ),
        untouched.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11).encode(
            x=alt.value(0), y=score, text="method:N", color=colour
        ),
        tuned.mark_rule(strokeWidth=2, opacity=0.55, strokeCap="round").encode(
            x=x, y=alt.Y("low:Q", scale=level), y2="high:Q", color=colour, tooltip=said
        ),
        on_front.mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.45).encode(
            x=x, y=score, order="cost:Q"
        ),
        on_front.mark_point(size=150, filled=True, opacity=1).encode(x=x, y=score, color=colour, tooltip=said),
        off_front.mark_point(size=90, filled=False, strokeWidth=2).encode(x=x, y=score, color=colour, tooltip=said),
        inner.mark_text(align="left", dx=9, dy=-9).encode(x=x, y=score, text="method:N"),
        outer.mark_text(align="right", dx=-9, dy=-9).encode(x=x, y=score, text="method:N"),
        height=HEIGHT,
    )


def _domain(costs: Sequence[float], log: bool) -> list[float]:
    return [min(costs) / 4, max(costs) * 4] if log else [0, max(costs) * 1.08]


def _place(cost: float, domain: Sequence[float], log: bool) -> float:
    """Where on the axis a cost lies, from 0 to 1."""
    low, high, here = map(math.log, [*domain, cost]) if log else [*domain, cost]
    return (here - low) / (high - low)
