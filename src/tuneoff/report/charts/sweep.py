"""The figures of a sweep: each method's quality and cost over the values of the swept parameter.

A method that the parameter does not change is drawn as a horizontal line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.row import Row
from tuneoff.analysis.sweep import Sweep
from tuneoff.metrics import Metric
from tuneoff.report.charts.canvas import Canvas, escape_labels, list_log_ticks, make_tooltip
from tuneoff.report.charts.colors import make_palette
from tuneoff.report.charts.rows import Datum, make_score_row
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_cost
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title
from tuneoff.report.main_metrics import list_main

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 300
DECADE = 10  # an axis whose values span more than this factor is logarithmic
MAX_TICKS = 10  # with more values than this, only some of them have a tick
HEADINGS = {
    "train_seconds": "Training time",
    "training_memory": "Peak training memory",
    "trainable": "Trainable parameters",
    "token_ms": "Time per generated token",
}
COST: tuple[Metric | Cost, ...] = tuple(COSTS[name] for name in HEADINGS)
GIGA = 1e-9


def list_quality(sweep: Sweep) -> tuple[Metric, ...]:
    """Return the metrics that have a figure."""
    return list_main(sweep.metrics)


def get_figure_name(quantity: Metric | Cost) -> str:
    """Return the name of the figure of a quantity, which is also its file's name."""
    return f"study-{quantity.name}"


def list_titles(sweep: Sweep) -> dict[str, str]:
    """Return the title of each figure, by its name."""
    parameter = get_parameter_title(sweep)
    return {
        get_figure_name(quantity): f"{HEADINGS.get(quantity.name, quantity.title)} by {parameter}"
        for quantity in (*list_quality(sweep), *COST)
    }


def draw_sweep(sweep: Sweep) -> dict[str, alt.LayerChart]:
    """Return every figure that the sweep has data for, by name."""
    charts = {get_figure_name(quantity): _draw_quantity(sweep, quantity) for quantity in (*list_quality(sweep), *COST)}
    titles = list_titles(sweep)
    return {name: chart.properties(description=titles[name]) for name, chart in charts.items() if chart is not None}


def assign_line_colors(sweep: Sweep) -> dict[str, str]:
    """Return a color for each method: the same as on a comparison's page, if the methods are the same."""
    rows = [*((label, point.row) for label, line in sweep.lines.items() for point in line)]
    rows += [(row.label, row) for row in sweep.references]
    base_models = {label for label, row in rows if row.is_base}
    return make_palette([*sweep.recipe.methods, *(label for label, _ in rows)], base_models=base_models)


def _draw_quantity(sweep: Sweep, quantity: Metric | Cost) -> alt.LayerChart | None:
    import altair as alt

    point_rows, reference_rows = list(_make_points(sweep, quantity)), list(_make_references(sweep, quantity))
    if len({row["place"] for row in point_rows}) < 2:
        return None
    rows = [*point_rows, *reference_rows]
    canvas = Canvas(rows=rows, palette=escape_labels(assign_line_colors(sweep)))
    x = _encode_value(point_rows, get_parameter_title(sweep), _name_places(sweep))
    scale, axis = _encode_quantity(rows, quantity)
    y = alt.Y("value:Q", title=_get_unit(quantity), scale=scale, axis=axis)
    low = alt.Y("low:Q", title=_get_unit(quantity), scale=scale, axis=axis)
    color, tooltip = canvas.encode_color(legend=True), make_tooltip("method", "at", "exact", "interval")
    points = canvas.chart.transform_filter("datum.kind == 'point'")
    references = canvas.chart.transform_filter("datum.kind == 'level'")
    lines = (
        points.mark_area(opacity=0.13).encode(x=x, y=low, y2="high:Q", color=color),
        points.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=color),
    )
    return canvas.combine(
        references.mark_rect(opacity=0.08).encode(y=low, y2="high:Q", color=color),
        references.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(y=y, color=color, tooltip=tooltip),
        references.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11).encode(
            x=alt.value(0), y=y, text="method:N", color=color
        ),
        *(lines if not isinstance(point_rows[0]["place"], str) else ()),  # there is nothing between two words
        points.mark_rule(strokeWidth=1.5, opacity=0.5).encode(x=x, y=low, y2="high:Q", color=color),
        points.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=color, tooltip=tooltip),
        height=HEIGHT,
    )


def _name_places(sweep: Sweep) -> dict[float, str]:
    """Return names for places on the axis that are not the values themselves, such as the sizes of models."""
    points = [point for line in sweep.lines.values() for point in line]
    return {
        p.place: format_sweep_value(sweep, p.value) for p in points if p.place is not None and isinstance(p.value, str)
    }


def _make_points(sweep: Sweep, quantity: Metric | Cost) -> Iterator[Datum]:
    ordered = all(point.place is not None for line in sweep.lines.values() for point in line)
    for label, line in sweep.lines.items():
        for point in line:
            if (datum := _make_datum(point.row, quantity)) is not None:
                value = format_sweep_value(sweep, point.value)
                yield {
                    **datum,
                    "kind": "point",
                    "method": escape_control(label),
                    "place": point.place if ordered else value,
                    "at": value,
                }


def _make_references(sweep: Sweep, quantity: Metric | Cost) -> Iterator[Datum]:
    for row in sweep.references:
        if (datum := _make_datum(row, quantity)) is not None:
            yield {**datum, "kind": "level"}


def _make_datum(row: Row, quantity: Metric | Cost) -> Datum | None:
    """Return the row's score with its interval, or its cost. None if it has neither, or if its cost is zero."""
    if isinstance(quantity, Metric):
        return make_score_row(row, quantity) if quantity.name in row.scores else None
    if not (cost := row.costs.get(quantity.name)):
        return None
    value = cost * GIGA if quantity.unit == "bytes" else cost
    text = format_cost(quantity, cost)
    return {
        "method": escape_control(row.label),
        "value": value,
        "low": value,
        "high": value,
        "text": text,
        "exact": text,
    }


def _encode_value(points: Sequence[Datum], parameter: str, names: Mapping[float, str]) -> alt.X:
    """Encode the swept value: words at equal distances, numbers on a linear axis, or a logarithmic one if far apart."""
    import altair as alt

    places = list(dict.fromkeys(row["place"] for row in points))
    if isinstance(places[0], str):
        scale, axis = alt.Scale(type="point", padding=0.4), alt.Axis(labelAngle=0, labelLimit=120, grid=False)
        return alt.X("place:N", title=parameter, sort=places, scale=scale, axis=axis)
    low, high = min(places), max(places)
    log = low > 0 and high / low > DECADE
    ticks = sorted(places) if len(places) <= MAX_TICKS else list_log_ticks(low, high) if log else alt.Undefined
    title = f"{parameter}, by parameters" if names else parameter
    name_of_tick = f"{json.dumps(list(names.values()))}[indexof({json.dumps(list(names))}, datum.value)]"
    return alt.X(
        "place:Q",
        title=f"{title} (log scale)" if log else title,
        scale=alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False, padding=20),
        axis=alt.Axis(format=".3~s", grid=False, values=ticks, labelExpr=name_of_tick if names else alt.Undefined),
    )


def _encode_quantity(rows: Sequence[Datum], quantity: Metric | Cost) -> tuple[alt.Scale, alt.Axis]:
    """Return an axis around the scores. For costs it starts at zero, or is logarithmic if they are far apart."""
    import altair as alt

    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    if isinstance(quantity, Metric):
        margin = 0.08 * (high - low) or 0.1
        return alt.Scale(domain=[low - margin, high + margin], nice=False), alt.Axis(tickCount=6)
    if low > 0 and high / low > DECADE:
        ends = low / 2, high * 2
        return alt.Scale(type="log", domain=ends, nice=False), _make_axis(quantity, list_log_ticks(*ends))
    return alt.Scale(domain=[0, 1.1 * high or 1], nice=False), _make_axis(quantity)


def _make_axis(quantity: Metric | Cost, ticks: Sequence[float] | None = None) -> alt.Axis:
    """Write thousands as k and millions as M. Counts have B for billions rather than G for giga."""
    import altair as alt

    label = alt.Undefined if quantity.unit else "replace(format(datum.value, '~s'), 'G', 'B')"
    return alt.Axis(values=ticks or alt.Undefined, tickCount=6, format="~s", labelExpr=label)


def _get_unit(quantity: Metric | Cost) -> str:
    units: Mapping[str, str] = {"bytes": "GB", "s": "seconds", "": "parameters"}
    return units.get(quantity.unit, quantity.unit)
