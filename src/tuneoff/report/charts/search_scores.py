"""The configurations that the searches tried: validation score by learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import Metric
from tuneoff.report.charts.canvas import Canvas, list_powers_of_ten, make_canvas, make_tooltip
from tuneoff.report.charts.rows import Datum
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_rate, format_share
from tuneoff.report.hyperparameters import format_hyperparameters, list_ends
from tuneoff.report.search_metric import convert_unit, format_score_title, get_search_metric
from tuneoff.search.halving import LEARNING_RATE

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 330  # pixels for the scores; the learning-rate ranges are below, in one lane per method
LANE = 14
EDGE = 9  # pixels between the edge of the frame and the crosses of configurations outside it
REACH = 4.0  # the frame ends at this many times the distance from the best score to the median
POINT_SIZE = 50  # square pixels of a point for each rung that its configuration reached
CROSS = "M-1,-1L1,1M1,-1L-1,1"


def draw_scores_by_rate(comparison: Comparison) -> alt.LayerChart | None:
    """Draw every configuration at its learning rate, and below the scores the range that was searched per method.

    A point is at the score of the last rung that its configuration reached. A faint line leads to it from the score of
    the first rung. The axis covers the scores near the best: otherwise one bad configuration would flatten the others.
    """
    import altair as alt

    if not comparison.searches:
        return None
    metric = get_search_metric(comparison)
    configurations, lanes = list(_make_rows(comparison, metric)), list(_make_lanes(comparison))
    scores = [row["value"] for row in configurations if row["value"] is not None]
    if not scores:
        return None
    best, worst = _find_frame(scores, metric)
    rows = [*(_place_in_frame(row, best, worst) for row in configurations), *lanes]
    canvas = make_canvas(comparison, rows)
    margin = 0.14 * abs(worst - best) or 0.1
    scale = alt.Scale(domain=[min(best, worst) - margin, max(best, worst) + margin], nice=False, range=[HEIGHT, 0])
    y = alt.Y("value:Q", title=format_score_title(metric), scale=scale, axis=alt.Axis(tickCount=6))
    x = _encode_rate([row[end] for row in rows for end in ("rate", "low", "high") if end in row])
    selected = alt.selection_point(name="picked", fields=["method"], bind="legend")
    opacity = alt.when(selected).then(alt.value(1)).otherwise(alt.value(0.08))
    look = {"color": canvas.encode_color(legend=True), "opacity": opacity}
    tooltip = make_tooltip("method", "configuration", "exact", "trained", "chosen")
    points = canvas.chart.transform_filter("datum.drawn == 'inside'")
    chosen = points.transform_filter("datum.chosen == 'yes'")
    outside = canvas.chart.transform_filter("datum.drawn == 'at the edge'")
    label_offset, edge = (-20, HEIGHT - EDGE) if metric.higher_is_better else (20, EDGE)
    return canvas.combine(
        points.mark_rule(strokeWidth=1.2, strokeOpacity=0.35).encode(
            x=x, y=alt.Y("first:Q", scale=scale), y2="value:Q", **look
        ),
        points.mark_point(filled=True).encode(x=x, y=y, size=alt.Size("size:Q", scale=None), tooltip=tooltip, **look),
        chosen.mark_point(filled=False, size=330, strokeWidth=2).encode(x=x, y=y, **look),
        chosen.mark_text(dy=label_offset, fontWeight=600).encode(x=x, y=y, text="method:N", opacity=opacity),
        outside.mark_point(shape=CROSS, size=60, strokeWidth=2.2, filled=False).encode(
            x=x, y=alt.value(edge), tooltip=tooltip, **look
        ),
        *_draw_ranges(canvas, x["scale"], look),
        height=HEIGHT + LANE * (1 + len({row["lane"] for row in lanes})),
    ).add_params(selected)


def _make_rows(comparison: Comparison, metric: Metric) -> Iterator[Datum]:
    """Yield a row for each configuration of each search."""
    options = comparison.run.recipe.search
    shares = options.shares if options else ()
    for search in comparison.searches.values():
        for configuration in search.tries:
            scores = [convert_unit(metric, score) for score in configuration.scores]
            last = scores[-1]
            yield {
                "method": escape_control(search.label),
                "rate": configuration.hyperparameters[LEARNING_RATE],
                "value": last,
                "first": scores[0],
                "size": POINT_SIZE * sum(share <= configuration.shares[-1] for share in shares),
                "trained": f"{format_share(configuration.shares[-1])} of the full training",
                "exact": f"{last:.4f} {metric.unit}" if last is not None else configuration.records[-1].status,
                "configuration": format_hyperparameters(configuration.values),
                "chosen": "yes" if configuration is search.chosen else "no",
            }


def _make_lanes(comparison: Comparison) -> Iterator[Datum]:
    """Yield the learning-rate range of each search, and the parts by which it was widened."""
    searches = [search for search in comparison.searches.values() if LEARNING_RATE in search.space]
    for i, search in enumerate(searches):
        low, high = list_ends(search.space[LEARNING_RATE])
        least, greatest = list_ends(search.final_space[LEARNING_RATE])
        for part, start, end in (("declared", low, high), ("widened", least, low), ("widened", high, greatest)):
            if start < end or part == "declared":
                yield {
                    "method": escape_control(search.label),
                    "part": part,
                    "low": start,
                    "high": end,
                    "range": f"{format_rate(start)} to {format_rate(end)}",
                    "lane": HEIGHT + LANE * (i + 1),
                }


def _find_frame(scores: Sequence[float], metric: Metric) -> tuple[float, float]:
    """Return the best score, and the worst score that is drawn at its value."""
    best, worst = (max(scores), min(scores)) if metric.higher_is_better else (min(scores), max(scores))
    reach = best + REACH * (median(scores) - best)
    return best, worst if worst == best or _is_between(worst, best, reach) else reach


def _place_in_frame(row: Datum, best: float, worst: float) -> Datum:
    """Return the row with its place: inside the frame, or at its edge if the score is missing or too bad."""
    inside = row["value"] is not None and _is_between(row["value"], best, worst)
    first = row["first"] if inside and _is_between(row["first"], best, worst) else worst
    return {**row, "drawn": "inside" if inside else "at the edge", "first": first}


def _is_between(score: float, best: float, worst: float) -> bool:
    return min(best, worst) <= score <= max(best, worst)


def _encode_rate(rates: Sequence[float]) -> alt.X:
    import altair as alt

    low, high = min(rates) / 2, max(rates) * 2
    label = "datum.value < 0.01 ? datum.label : format(datum.value, '~g')"  # 1e-4, but 0.1 instead of 1e-1
    return alt.X(
        "rate:Q",
        title="learning rate (log scale)",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=list_powers_of_ten(low, high), format="~e", grid=False, labelExpr=label),
    )


def _draw_ranges(canvas: Canvas, rates: alt.Scale, look: Mapping[str, Any]) -> Iterator[alt.Chart]:
    """Draw each range as a line in its lane with a tick at either end. The parts that were added are dotted."""
    import altair as alt

    ranges = canvas.chart.transform_filter("isValid(datum.lane)")
    lane = alt.Y("lane:Q", scale=None, axis=None)  # in pixels
    dashes = alt.Scale(domain=["declared", "widened"], range=[[1, 0], [2, 3]])
    yield ranges.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", scale=rates),
        x2="high:Q",
        y=lane,
        strokeDash=alt.StrokeDash("part:N", scale=dashes, legend=None),
        tooltip=make_tooltip("method", "part", "range"),
        **look,
    )
    for end in ("low", "high"):
        ticks = ranges.mark_tick(orient="vertical", size=10, thickness=2)
        yield ticks.encode(x=alt.X(f"{end}:Q", scale=rates), y=lane, **look)
