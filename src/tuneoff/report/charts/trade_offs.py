"""Quality against cost: the score by the primary metric that more seconds, bytes or parameters bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.report.charts.canvas import Canvas, list_powers_of_ten, make_canvas, make_tooltip
from tuneoff.report.charts.label_places import DISTANCE, LINE, LONGEST, Box, Place, Point, measure_label, place_labels
from tuneoff.report.charts.rows import Datum, make_cost_interval, make_run_columns, make_score_row
from tuneoff.report.format import format_cost

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 280
NARROWEST = 240  # pixels of the plot, where three charts are side by side or a screen is small


def draw_quality_against(
    comparison: Comparison, name: str, title: str, *, scale: float = 1, log: bool = False
) -> alt.LayerChart | None:
    """Draw the primary metric's test score over the cost called `name`, both with their intervals, and every run.

    The base model is a horizontal line.
    Methods on the Pareto front are filled and joined by steps, the others hollow. The names of methods are placed
    apart.
    """
    import altair as alt

    trained = [row for row in comparison.rank(comparison.metric) if not row.is_base and row.costs.get(name)]
    if not trained:
        return None
    canvas = make_canvas(comparison, _make_rows(comparison, name, scale))
    costs = [row["cost"] for row in canvas.rows if not row["is_base"]]
    domain = _find_domain([*costs, *(row["cost_high"] for row in canvas.rows if row["cost_high"])], log)
    low, high = canvas.find_extent("least", "most")
    margin = 0.08 * (high - low) or 1
    canvas = _place_names(canvas, domain, log, (low - margin, high + margin))
    x = alt.X(
        "cost:Q",
        title=title,
        scale=alt.Scale(type="log" if log else "linear", domain=domain, nice=False),
        axis=alt.Axis(values=list_powers_of_ten(*domain), format="~s", grid=False)
        if log
        else alt.Axis(tickCount=5, format=",~f", grid=False),
    )
    score_scale = alt.Scale(domain=[low - margin, high + margin], nice=False)
    y = alt.Y("value:Q", scale=score_scale, title=f"test {comparison.metric.title}, {comparison.metric.unit}")
    layers = [*_draw_base_model(canvas, y), *_draw_methods(canvas, x, y, score_scale)]
    return canvas.combine(*layers, height=HEIGHT)


def _make_rows(comparison: Comparison, name: str, scale: float) -> list[Datum]:
    """Return a row for the base model, and for each scored method that has the cost."""
    cost = COSTS[name]
    front = comparison.find_front(comparison.metric, cost)
    return [
        {
            **make_score_row(row, comparison.metric),
            **make_run_columns(comparison, row, comparison.metric),
            "is_base": row.is_base,
            "front": "yes" if row.label in front else "no",
            "cost": row.costs.get(name, 0) * scale,
            "cost_text": format_cost(cost, row.costs.get(name, 0)),
            **make_cost_interval(comparison, row, cost, scale),
        }
        for row in comparison.rank(comparison.metric)
        if row.is_base or row.costs.get(name)
    ]


def _place_names(canvas: Canvas, domain: Sequence[float], log: bool, scores: tuple[float, float]) -> Canvas:
    """Return the canvas with the place of each method's name: `side`, and the pixels `down` from the point."""
    low, high = scores
    height_of = {row["method"]: HEIGHT * (high - row["value"]) / (high - low) for row in canvas.rows}
    points = [
        Point(
            name=row["method"],
            x=NARROWEST * _locate_on_axis(row["cost"], domain, log),
            y=height_of[row["method"]],
        )
        for row in canvas.rows
        if not row["is_base"]
    ]
    base = [row["method"] for row in canvas.rows if row["is_base"]]
    places = place_labels(
        points, width=NARROWEST, height=HEIGHT, taken=[_measure_base_name(name, height_of[name]) for name in base]
    )
    shown = {name: {"side": place.side, "down": place.down, "far": place.is_far} for name, place in places.items()}
    return replace(canvas, rows=[{**row, **shown.get(row["method"], {})} for row in canvas.rows])


def _measure_base_name(name: str, height: float) -> Box:
    """Return the rectangle of the base model's name, which stands on its line at the left."""
    box = measure_label(Point(name=name, x=0, y=height), Place(side="right", down=-LINE))
    return replace(box, left=0, bottom=height + 2)


def _draw_base_model(canvas: Canvas, y: alt.Y) -> list[alt.Chart]:
    import altair as alt

    base, color = canvas.chart.transform_filter("datum.is_base"), canvas.encode_color()
    return [
        base.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(
            y=y, color=color, tooltip=make_tooltip("method", "exact", "interval")
        ),
        base.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11, limit=LONGEST).encode(
            x=alt.value(0), y=y, text="method:N", color=color
        ),
    ]


def _draw_methods(canvas: Canvas, x: alt.X, y: alt.Y, score_scale: alt.Scale) -> list[alt.Chart]:
    import altair as alt

    tuned = canvas.chart.transform_filter("!datum.is_base")
    on_front, off_front = tuned.transform_filter("datum.front == 'yes'"), tuned.transform_filter("datum.front == 'no'")
    right, left = (tuned.transform_filter(f"datum.side == '{side}'") for side in ("right", "left"))
    down = alt.expr("datum.down")
    color, tooltip = (
        canvas.encode_color(),
        make_tooltip("method", "exact", "interval", "cost_text", "cost_interval", "front"),
    )
    return [
        tuned.mark_rule(strokeWidth=2, opacity=0.55, strokeCap="round").encode(
            x=x, y=alt.Y("low:Q", scale=score_scale), y2="high:Q", color=color, tooltip=tooltip
        ),
        tuned.transform_filter("datum.cost_high != null")
        .mark_rule(strokeWidth=1.5, opacity=0.55, strokeCap="round")
        .encode(x="cost_low:Q", x2="cost_high:Q", y=y, color=color, tooltip=tooltip),
        on_front.mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.45).encode(x=x, y=y, order="cost:Q"),
        on_front.mark_point(size=150, filled=True, opacity=1).encode(x=x, y=y, color=color, tooltip=tooltip),
        off_front.mark_point(size=90, filled=False, strokeWidth=2).encode(x=x, y=y, color=color, tooltip=tooltip),
        *(runs.transform_filter("!datum.is_base") for runs in canvas.draw_runs("y", score_scale, x=x)),
        tuned.transform_filter("datum.far")
        .mark_rule(strokeWidth=1, opacity=0.35, y2Offset=down)
        .encode(x=x, y=y, y2="value:Q"),
        right.mark_text(align="left", dx=DISTANCE, dy=down, limit=LONGEST).encode(x=x, y=y, text="method:N"),
        left.mark_text(align="right", dx=-DISTANCE, dy=down, limit=LONGEST).encode(x=x, y=y, text="method:N"),
    ]


def _find_domain(costs: Sequence[float], log: bool) -> list[float]:
    return [min(costs) / 4, max(costs) * 4] if log else [0, max(costs) * 1.08]


def _locate_on_axis(cost: float, domain: Sequence[float], log: bool) -> float:
    """Return the position of a cost on the axis, from 0 to 1."""
    low, high, position = map(math.log, [*domain, cost]) if log else [*domain, cost]
    return (position - low) / (high - low)
