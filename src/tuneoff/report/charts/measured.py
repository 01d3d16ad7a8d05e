"""Figures of what serving costs: times relative to the base model's, as points with the range of their repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts.canvas import make_canvas, make_tooltip
from tuneoff.report.escape import escape_control
from tuneoff.report.measured import find_measured

if TYPE_CHECKING:
    import altair as alt

ROW = 17  # pixels of height for each point


def draw_served_times(comparison: Comparison, part: str) -> alt.LayerChart | None:
    """Draw the times of each model, merged and not merged, by the number of rows at a time.

    Args:
        part: "prefill" or "token".
    """
    import altair as alt

    measured = find_measured(comparison)
    if measured is None:
        return None
    rows = []
    for row in measured.times:
        ratio = row.prefill_ratio if part == "prefill" else row.token_ratio
        milliseconds = row.prefill_ms if part == "prefill" else row.token_ms
        rows.append(
            {
                "method": escape_control(row.label),
                "served": f"{escape_control(row.label)}, {row.form}",
                "batch": row.batch,
                "value": ratio.median,
                "low": ratio.low,
                "high": ratio.high,
                "text": f"{ratio.median:.2f}",
                "exact": f"{milliseconds.median:,.2f} ms",
            }
        )
    canvas = make_canvas(comparison, rows)
    y = alt.Y("batch:O", title="rows at a time")
    offset = alt.YOffset("served:N", sort=None)
    scale = alt.Scale(zero=False, nice=True)
    tooltip = make_tooltip("served", "batch", "exact", "text", "low", "high")
    color = canvas.encode_color(legend=True)
    return canvas.combine(
        canvas.chart.mark_rule(strokeDash=[4, 4], opacity=0.6).encode(x=alt.datum(1)),
        canvas.chart.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", scale=scale, title="times the base model's, with the range of the repeats"),
            x2="high:Q", y=y, yOffset=offset, color=color, tooltip=tooltip,
        ),
        canvas.chart.mark_point(size=70, filled=True, opacity=1).encode(
            x="value:Q", y=y, yOffset=offset, color=color, tooltip=tooltip,
            shape=alt.Shape("served:N", legend=None),
        ),
        height=len(rows) * ROW,
    )  # fmt: skip
