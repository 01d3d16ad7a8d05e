"""A study's figures: quality and cost of each method along one knob, and what the knob does not touch as a level."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Row
from tuneoff.analysis.metrics import Cost, Metric
from tuneoff.analysis.sweep import Sweep
from tuneoff.report.charts.canvas import (
    Canvas,
    Datum,
    get_cost,
    list_log_ticks,
    make_palette,
    make_score_row,
    make_tooltip,
)
from tuneoff.report.escape import escape_control
from tuneoff.report.format import LOSS, ROUGE_L, format_cost
from tuneoff.report.hyperparameters import format_sweep_value, get_parameter_title

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 300
DECADE = 10  # a span beyond this is drawn on a logarithmic axis
MANY = 10  # ticks; of more values, only powers of ten are written
QUALITY: tuple[Metric | Cost, ...] = (ROUGE_L, LOSS)
HEADINGS = {
    "train_seconds": "Training time",
    "training_memory": "Peak memory of training",
    "trainable": "Trainable parameters",
    "token_ms": "Time of each new token",
}
COST: tuple[Metric | Cost, ...] = tuple(map(get_cost, HEADINGS))
GIGA = 1e-9


def list_titles(sweep: Sweep) -> dict[str, str]:
    """What each figure is called, by its name."""
    return {
        f"study-{one.name}": f"{HEADINGS.get(one.name, one.title)} by {get_parameter_title(sweep)}"
        for one in (*QUALITY, *COST)
    }


def draw_sweep(sweep: Sweep) -> dict[str, alt.LayerChart]:
    """Every figure that the study has numbers for, by name."""
    charts = {f"study-{one.name}": _along(sweep, one) for one in (*QUALITY, *COST)}
    titles = list_titles(sweep)
    return {name: chart.properties(description=titles[name]) for name, chart in charts.items() if chart is not None}


def assign_line_colors(sweep: Sweep) -> dict[str, str]:
    """A colour for each method: the same as on a comparison's page, where the methods are the same."""
    rows = [*((label, point.row) for label, line in sweep.lines.items() for point in line)]
    rows += [(row.label, row) for row in sweep.references]
    untouched = {label for label, row in rows if row.costs.get("trainable") == 0}
    return make_palette([*sweep.recipe.methods, *(label for label, _ in rows)], untouched=untouched)


def _along(sweep: Sweep, quantity: Metric | Cost) -> alt.LayerChart | None:
    import altair as alt

    rows = [*_points(sweep, quantity), *_levels(sweep, quantity)]
    lines = [row for row in rows if row["kind"] == "point"]
    if len({row["place"] for row in lines}) < 2:
        return None
    drawing = Canvas(
        rows=rows, palette={escape_control(label): colour for label, colour in assign_line_colors(sweep).items()}
    )
    x = _places(lines, get_parameter_title(sweep), _names(sweep))
    scale, axis = _values(rows, quantity)
    y = alt.Y("value:Q", title=_unit(quantity), scale=scale, axis=axis)
    low = alt.Y("low:Q", title=_unit(quantity), scale=scale, axis=axis)
    colour = drawing.colour(legend=True)
    said = make_tooltip("method", "at", "exact", "interval")
    points = drawing.chart.transform_filter("datum.kind == 'point'")
    levels = drawing.chart.transform_filter("datum.kind == 'level'")
    between = (  # only where there is something between two values
        points.mark_area(opacity=0.13).encode(x=x, y=low, y2="high:Q", color=colour),
        points.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour),
    )
    return drawing.layered(
        levels.mark_rect(opacity=0.08).encode(y=low, y2="high:Q", color=colour),
        levels.mark_rule(strokeDash=[5, 4], strokeWidth=1.5).encode(y=y, color=colour, tooltip=said),
        levels.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11).encode(
            x=alt.value(0), y=y, text="method:N", color=colour
        ),
        *(between if not isinstance(lines[0]["place"], str) else ()),
        points.mark_rule(strokeWidth=1.5, opacity=0.5).encode(x=x, y=low, y2="high:Q", color=colour),
        points.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=colour, tooltip=said),
        height=HEIGHT,
    )


def _names(sweep: Sweep) -> dict[float, str]:
    """Of places that are no values of the knob themselves, such as the parameters of a model: the value's name."""
    points = [point for line in sweep.lines.values() for point in line]
    return {
        p.place: format_sweep_value(sweep, p.value) for p in points if p.place is not None and isinstance(p.value, str)
    }


def _points(sweep: Sweep, quantity: Metric | Cost) -> Iterator[Datum]:
    ordered = all(point.place is not None for line in sweep.lines.values() for point in line)
    for label, line in sweep.lines.items():
        for point in line:
            if (datum := _datum(point.row, quantity)) is not None:
                at = format_sweep_value(sweep, point.value)
                yield {
                    **datum,
                    "kind": "point",
                    "method": escape_control(label),
                    "place": point.place if ordered else at,
                    "at": at,
                }


def _levels(sweep: Sweep, quantity: Metric | Cost) -> Iterator[Datum]:
    for row in sweep.references:
        if (datum := _datum(row, quantity)) is not None:
            yield {**datum, "kind": "level"}


def _datum(row: Row, quantity: Metric | Cost) -> Datum | None:
    """What the row scored with its interval, or what it cost; None where it has neither, or cost nothing."""
    if isinstance(quantity, Metric):
        return make_score_row(row, quantity) if quantity.name in row.scores else None
    if not (cost := row.costs.get(quantity.name)):
        return None
    value = cost * GIGA if quantity.unit == "bytes" else cost
    said = format_cost(quantity, cost)
    return {
        "method": escape_control(row.label),
        "value": value,
        "low": value,
        "high": value,
        "said": said,
        "exact": said,
    }


def _places(points: Sequence[Datum], knob: str, names: Mapping[float, str]) -> alt.X:
    """Numbers in proportion, or by powers where they span more than a decade; words side by side, as they come."""
    import altair as alt

    places = list(dict.fromkeys(row["place"] for row in points))
    if isinstance(places[0], str):
        scale, axis = alt.Scale(type="point", padding=0.4), alt.Axis(labelAngle=0, labelLimit=120, grid=False)
        return alt.X("place:N", title=knob, sort=places, scale=scale, axis=axis)
    low, high = min(places), max(places)
    log = low > 0 and high / low > DECADE
    ticks = sorted(places) if len(places) <= MANY else list_log_ticks(low, high) if log else alt.Undefined
    title = f"{knob}, by parameters" if names else knob
    named = f"{json.dumps(list(names.values()))}[indexof({json.dumps(list(names))}, datum.value)]"
    return alt.X(
        "place:Q",
        title=f"{title}, logarithmic" if log else title,
        scale=alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False, padding=20),
        axis=alt.Axis(format=".3~s", grid=False, values=ticks, labelExpr=named if names else alt.Undefined),
    )


def _values(rows: Sequence[Datum], quantity: Metric | Cost) -> tuple[alt.Scale, alt.Axis]:
    """Scores around themselves; costs from zero, or by powers where they span more than a decade."""
    import altair as alt

    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    if isinstance(quantity, Metric):
        margin = 0.08 * (high - low) or 0.1
        return alt.Scale(domain=[low - margin, high + margin], nice=False), alt.Axis(tickCount=6)
    if low > 0 and high / low > DECADE:
        ends = low / 2, high * 2
        return alt.Scale(type="log", domain=ends, nice=False), _axis(quantity, list_log_ticks(*ends))
    return alt.Scale(domain=[0, 1.1 * high or 1], nice=False), _axis(quantity)


def _axis(quantity: Metric | Cost, ticks: Sequence[float] | None = None) -> alt.Axis:
    """Thousands as k, millions as M; what is counted has billions, and not giga."""
    import altair as alt

    counted = alt.Undefined if quantity.unit else "replace(format(datum.value, '~s'), 'G', 'B')"
    return alt.Axis(values=ticks or alt.Undefined, tickCount=6, format="~s", labelExpr=counted)


def _unit(quantity: Metric | Cost) -> str:
    units: Mapping[str, str] = {"bytes": "GB", "s": "seconds", "": "parameters"}
    return units.get(quantity.unit, quantity.unit)
