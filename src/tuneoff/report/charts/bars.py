"""The five figures that a report on fine-tuning methods opens with: three costs, the loss and ROUGE."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.metrics import METRICS
from tuneoff.report.charts.canvas import (
    Canvas,
    get_cost,
    get_memory_kind,
    make_canvas,
    make_cost_rows,
    make_score_rows,
    make_tooltip,
)
from tuneoff.report.format import LOSS

if TYPE_CHECKING:
    import altair as alt

BAND = 32  # pixels of height for each method
ROOM_FOR_A_VALUE = 1.42  # how far an axis goes beyond its longest bar, for the value written behind it


def draw_trainable_parameters(comparison: Comparison) -> alt.LayerChart | None:
    """Orders of magnitude: a bar's length counts them, so it starts at one, and nothing trained is no bar."""
    import altair as alt

    rows = [{**row, "drawn": max(row["value"], 1)} for row in make_cost_rows(comparison, get_cost("trainable"))]
    drawing = make_canvas(comparison, rows)
    if not rows or drawing.ends()[1] <= 1:
        return None
    end = drawing.ends()[1] ** 1.3  # room for the value, as below
    powers = range(0, math.ceil(math.log10(end)), 2)
    x = alt.X(
        "drawn:Q",
        title="logarithmic",
        scale=alt.Scale(type="log", domain=[1, end], nice=False),
        axis=alt.Axis(values=[10**power for power in powers], format="~s"),
    )
    return _bars(drawing, x, x2=alt.X2Datum(1))


def draw_slowest_epoch(comparison: Comparison) -> alt.LayerChart | None:
    """Seconds of training steps in the slowest epoch."""
    return _bars_from_zero(make_canvas(comparison, make_cost_rows(comparison, get_cost("slowest_epoch"))), "seconds")


def draw_peak_memory(comparison: Comparison) -> alt.LayerChart | None:
    """The most memory held in training."""
    rows = make_cost_rows(comparison, get_cost("training_memory"), scale=1e-9)
    return _bars_from_zero(make_canvas(comparison, rows), f"GB {get_memory_kind(comparison)}")


def draw_evaluation_loss(comparison: Comparison) -> alt.LayerChart | None:
    """Points with intervals, on an axis that does not begin at zero: no bar could show these differences."""
    import altair as alt

    drawing = make_canvas(comparison, make_score_rows(comparison, LOSS))
    if not drawing.rows:
        return None
    low, high = drawing.ends("low", "high")
    margin = 0.06 * (high - low) or 0.1
    scale = alt.Scale(domain=[low - margin, high + (ROOM_FOR_A_VALUE - 1) * (high - low) + margin], nice=False)
    y, colour, said = _methods_down(), drawing.colour(), make_tooltip("method", "exact", "interval", "examples")
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title="nats per target token, with intervals"))
    return drawing.layered(
        drawing.chart.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
            x=x, x2="high:Q", y=y, color=colour, tooltip=said
        ),
        drawing.chart.mark_point(size=110, filled=True, opacity=1).encode(x="value:Q", y=y, color=colour, tooltip=said),
        drawing.chart.mark_text(align="left", dx=8).encode(x="high:Q", y=y, text="said:N"),
        height=len(drawing.rows) * BAND,
    )


def draw_rouge(comparison: Comparison) -> alt.LayerChart | None:
    """The four kinds of ROUGE with intervals, the methods side by side in each."""
    import altair as alt

    kinds = sorted((metric for metric in METRICS if metric is not LOSS), key=lambda metric: metric.title)
    drawing = make_canvas(comparison, make_score_rows(comparison, *kinds))
    if not drawing.rows:
        return None
    end = 1.12 * drawing.ends(high="high")[1] or 1
    x = alt.X("value:Q", title="F1 × 100, with intervals", scale=alt.Scale(domain=[0, end]))
    y = alt.Y("metric:N", title=None, sort=[kind.title for kind in kinds], scale=alt.Scale(paddingInner=0.24))
    offset = alt.YOffset("method:N", sort=drawing.methods, scale=alt.Scale(paddingInner=0.14))
    said = make_tooltip("method", "metric", "exact", "interval", "examples")
    return drawing.layered(
        drawing.chart.mark_bar(cornerRadiusEnd=2).encode(
            x=x, y=y, yOffset=offset, color=drawing.colour(legend=True), tooltip=said
        ),
        drawing.chart.mark_rule(strokeWidth=1.5, opacity=0.75).encode(x="low:Q", x2="high:Q", y=y, yOffset=offset),
        drawing.chart.mark_text(align="left", dx=6, fontSize=11).encode(x="high:Q", y=y, yOffset=offset, text="said:N"),
        height=len(kinds) * (len(drawing.methods) * 18 + 16),
    )


def _bars_from_zero(drawing: Canvas, title: str) -> alt.LayerChart | None:
    import altair as alt

    drawing = Canvas(rows=[row for row in drawing.rows if row["value"] > 0], palette=drawing.palette)
    if not drawing.rows:
        return None
    domain = [0, drawing.ends()[1] * ROOM_FOR_A_VALUE]
    return _bars(drawing, alt.X("value:Q", title=title, scale=alt.Scale(domain=domain, nice=False)))


def _bars(drawing: Canvas, x: alt.X, **start: Any) -> alt.LayerChart:  # Any: an encoding of altair's
    """Horizontal bars with their values written behind them."""
    y = _methods_down()
    return drawing.layered(
        drawing.chart.mark_bar(height={"band": 0.6}, cornerRadiusEnd=3).encode(
            x=x, y=y, color=drawing.colour(), tooltip=make_tooltip("method", "exact"), **start
        ),
        drawing.chart.mark_text(align="left", dx=7).encode(x=x, y=y, text="said:N"),
        height=len(drawing.rows) * BAND,
    )


def _methods_down() -> alt.Y:
    import altair as alt

    return alt.Y("method:N", sort=None, title=None, axis=alt.Axis(labelLimit=130))
