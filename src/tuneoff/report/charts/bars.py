"""The five figures at the top of a report: three costs, the evaluation loss and the scores of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.metrics import LOSS, Metric
from tuneoff.report.charts.canvas import Canvas, make_canvas, make_tooltip
from tuneoff.report.charts.rows import get_memory_kind, make_cost_rows, make_score_rows

if TYPE_CHECKING:
    import altair as alt

BAND = 32  # pixels of height for each method
LABEL_SPACE = 1.42  # length of an axis relative to its longest bar, which leaves space for the value after the bar


def draw_trainable_parameters(comparison: Comparison) -> alt.LayerChart | None:
    """Draw bars on a logarithmic axis that starts at one. A method that trains nothing has no bar."""
    import altair as alt

    rows = [{**row, "drawn": max(row["value"], 1)} for row in make_cost_rows(comparison, COSTS["trainable"])]
    canvas = make_canvas(comparison, rows)
    if not rows or canvas.find_extent()[1] <= 1:
        return None
    end = canvas.find_extent()[1] ** 1.3  # leaves space for the values, as LABEL_SPACE does on a linear axis
    powers = range(0, math.ceil(math.log10(end)), 2)
    x = alt.X(
        "drawn:Q",
        title="trainable parameters (log scale)",
        scale=alt.Scale(type="log", domain=[1, end], nice=False),
        axis=alt.Axis(values=[10**power for power in powers], format="~s"),
    )
    return _draw_bars(canvas, x, x, x2=alt.X2Datum(1))


def draw_slowest_epoch(comparison: Comparison) -> alt.LayerChart | None:
    """Draw the seconds of training steps in the slowest epoch, with their interval over seeds."""
    rows = make_cost_rows(comparison, COSTS["slowest_epoch"])
    return _draw_bars_from_zero(make_canvas(comparison, rows), "seconds")


def draw_peak_memory(comparison: Comparison) -> alt.LayerChart | None:
    """Draw the peak memory during training, with its interval over seeds."""
    rows = make_cost_rows(comparison, COSTS["training_memory"], scale=1e-9)
    return _draw_bars_from_zero(make_canvas(comparison, rows), f"GB {get_memory_kind(comparison)}")


def draw_evaluation_loss(comparison: Comparison) -> alt.LayerChart | None:
    """Draw the evaluation loss."""
    return draw_points(comparison, LOSS)


def draw_points(comparison: Comparison, metric: Metric) -> alt.LayerChart | None:
    """Draw points with intervals. The axis does not start at zero, where the differences would be too small to see."""
    import altair as alt

    canvas = make_canvas(comparison, make_score_rows(comparison, metric))
    if not canvas.rows:
        return None
    low, high = canvas.find_extent("least", "most")
    margin = 0.06 * (high - low) or 0.1
    scale = alt.Scale(domain=[low - margin, high + (LABEL_SPACE - 1) * (high - low) + margin], nice=False)
    y, color = _list_methods_on_y(), canvas.encode_color()
    tooltip = make_tooltip("method", "exact", "interval", "examples")
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title=f"{metric.unit or metric.title}, with confidence intervals"))
    return canvas.combine(
        canvas.chart.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
            x=x, x2="high:Q", y=y, color=color, tooltip=tooltip
        ),
        canvas.chart.mark_point(size=110, filled=True, opacity=1).encode(
            x="value:Q", y=y, color=color, tooltip=tooltip
        ),
        *canvas.draw_runs("x", scale, y=y),
        canvas.chart.mark_text(align="left", dx=8).encode(x="end:Q", y=y, text="text:N"),
        height=len(canvas.rows) * BAND,
    )


def list_percent_metrics(comparison: Comparison) -> list[Metric]:
    """Return the metrics of text that run from 0 to 100, and so have one axis together."""
    metrics = [metric for metric in comparison.metrics if metric.needs_generation and metric.scale == 100]
    return sorted(metrics, key=lambda metric: metric.title)


def list_other_metrics(comparison: Comparison) -> list[Metric]:
    """Return the metrics of text that have an axis of their own."""
    return [metric for metric in comparison.metrics if metric.needs_generation and metric.scale != 100]


def draw_scores(comparison: Comparison) -> alt.LayerChart | None:
    """Draw the metrics that run from 0 to 100 with intervals, and for each metric one bar per method."""
    import altair as alt

    metrics = list_percent_metrics(comparison)
    canvas = make_canvas(comparison, make_score_rows(comparison, *metrics))
    if not canvas.rows:
        return None
    scale = alt.Scale(domain=[0, 1.12 * canvas.find_extent(high="most")[1] or 1])
    units = dict.fromkeys(metric.unit for metric in metrics)
    unit = next(iter(units)) if len(units) == 1 else "0 to 100"
    x = alt.X("value:Q", title=f"{unit}, with confidence intervals", scale=scale)
    y = alt.Y("metric:N", title=None, sort=[metric.title for metric in metrics], scale=alt.Scale(paddingInner=0.24))
    offset = alt.YOffset("method:N", sort=canvas.methods, scale=alt.Scale(paddingInner=0.14))
    tooltip = make_tooltip("method", "metric", "exact", "interval", "examples")
    return canvas.combine(
        canvas.chart.mark_bar(cornerRadiusEnd=2).encode(
            x=x, y=y, yOffset=offset, color=canvas.encode_color(legend=True), tooltip=tooltip
        ),
        canvas.chart.mark_rule(strokeWidth=1.5, opacity=0.75).encode(x="low:Q", x2="high:Q", y=y, yOffset=offset),
        *canvas.draw_runs("x", scale, y=y, yOffset=offset),
        canvas.chart.mark_text(align="left", dx=6, fontSize=11).encode(x="end:Q", y=y, yOffset=offset, text="text:N"),
        height=len(metrics) * (len(canvas.methods) * 18 + 16),
    )


def _draw_bars_from_zero(canvas: Canvas, title: str) -> alt.LayerChart | None:
    import altair as alt

    canvas = Canvas(rows=[row for row in canvas.rows if row["value"] > 0], palette=canvas.palette)
    if not canvas.rows:
        return None
    rows = [{**row, "end": max(row["value"], row["cost_high"] or 0)} for row in canvas.rows]
    canvas = Canvas(rows=rows, palette=canvas.palette)
    domain = [0, canvas.find_extent(high="end")[1] * LABEL_SPACE]
    return _draw_bars(canvas, alt.X("value:Q", title=title, scale=alt.Scale(domain=domain, nice=False)), "end:Q")


def _draw_bars(
    canvas: Canvas, x: alt.X, end: alt.X | str, **start: Any
) -> alt.LayerChart:  # Any: an encoding of altair's
    """Draw horizontal bars with their intervals, and with their values after them.

    Args:
        end: of the bar with its interval.
    """
    y, tooltip = _list_methods_on_y(), make_tooltip("method", "exact", "cost_interval")
    measured = canvas.chart.transform_filter("datum.cost_high != null")
    return canvas.combine(
        canvas.chart.mark_bar(height={"band": 0.6}, cornerRadiusEnd=3).encode(
            x=x, y=y, color=canvas.encode_color(), tooltip=tooltip, **start
        ),
        measured.mark_rule(strokeWidth=1.5, opacity=0.75).encode(
            x="cost_low:Q", x2="cost_high:Q", y=y, tooltip=tooltip
        ),
        canvas.chart.mark_text(align="left", dx=7).encode(x=end, y=y, text="text:N"),
        height=len(canvas.rows) * BAND,
    )


def _list_methods_on_y() -> alt.Y:
    import altair as alt

    return alt.Y("method:N", sort=None, title=None, axis=alt.Axis(labelLimit=130))
