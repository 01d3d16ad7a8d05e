"""What the searches tried, and what a smaller one might have found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.metrics import METRICS, Metric
from tuneoff.report.charts.canvas import Canvas, Datum, list_powers_of_ten, make_canvas, make_tooltip
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_count, format_rate, format_share
from tuneoff.report.hyperparameters import format_hyperparameters, list_ends
from tuneoff.search.expected_best import compute_expected_best
from tuneoff.search.halving import LEARNING_RATE
from tuneoff.search.history import Search
from tuneoff.search.sampling import ADAPTIVE

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 330  # of the scores; below them lie the ranges, a lane for each method
LANE = 14
EDGE = 9  # pixels from the edge of the frame to what has no place in it
REACH = 4.0  # times as far from the best as the median: beyond this a score has no place in the frame
SIZES = 50  # square pixels more for each rung reached
BUDGET_HEIGHT = 280
CROSS = "M-1,-1L1,1M1,-1L-1,1"


def draw_scores_by_rate(comparison: Comparison) -> alt.LayerChart | None:
    """Every configuration at its learning rate, all methods on one axis; the ranges searched lie in lanes below.

    A point stands where its furthest rung brought it, at the end of a faint line that begins at its first. The
    axis fits the scores around the best: otherwise one bad try would flatten the others.
    """
    import altair as alt

    if not comparison.searches:
        return None
    metric = get_search_metric(comparison)
    tries, lanes = list(_tries(comparison, metric)), list(_lanes(comparison))
    scored = [row["value"] for row in tries if row["value"] is not None]
    if not scored:
        return None
    best, worst = _frame(scored, metric)
    for row in tries:
        inside = row["value"] is not None and _is_within(row["value"], best, worst)
        row["drawn"] = "inside" if inside else "at the edge"
        row["first"] = row["first"] if inside and _is_within(row["first"], best, worst) else worst
    drawing = make_canvas(comparison, [*tries, *lanes])
    margin = 0.14 * abs(worst - best) or 0.1
    scale = alt.Scale(domain=[min(best, worst) - margin, max(best, worst) + margin], nice=False, range=[HEIGHT, 0])
    y = alt.Y("value:Q", title=format_score_title(metric), scale=scale, axis=alt.Axis(tickCount=6))
    x = _rates([row[end] for row in tries + lanes for end in ("rate", "low", "high") if end in row])
    picked = alt.selection_point(name="picked", fields=["method"], bind="legend")
    opacity = alt.when(picked).then(alt.value(1)).otherwise(alt.value(0.08))
    seen = {"color": drawing.colour(legend=True), "opacity": opacity}
    said = make_tooltip("method", "configuration", "exact", "trained", "chosen")
    points = drawing.chart.transform_filter("datum.drawn == 'inside'")
    chosen = points.transform_filter("datum.chosen == 'yes'")
    outside = drawing.chart.transform_filter("datum.drawn == 'at the edge'")
    beyond_best, worst_edge = (-20, HEIGHT - EDGE) if metric.higher_is_better else (20, EDGE)
    return drawing.layered(
        points.mark_rule(strokeWidth=1.2, strokeOpacity=0.35).encode(
            x=x, y=alt.Y("first:Q", scale=scale), y2="value:Q", **seen
        ),
        points.mark_point(filled=True).encode(x=x, y=y, size=alt.Size("size:Q", scale=None), tooltip=said, **seen),
        chosen.mark_point(filled=False, size=330, strokeWidth=2).encode(x=x, y=y, **seen),
        chosen.mark_text(dy=beyond_best, fontWeight=600).encode(x=x, y=y, text="method:N", opacity=opacity),
        outside.mark_point(shape=CROSS, size=60, strokeWidth=2.2, filled=False).encode(
            x=x, y=alt.value(worst_edge), tooltip=said, **seen
        ),
        *_ranges(drawing, x["scale"], seen),
        height=HEIGHT + LANE * (1 + len({row["lane"] for row in lanes})),
    ).add_params(picked)


def draw_expected_by_budget(comparison: Comparison) -> alt.LayerChart | None:
    """The best score to be expected of n tries, over the tokens of n trainings to the first rung.

    There all tries were trained equally long, and those drawn from the declared space differ by chance alone.
    What an adaptive sampler draws depends on what it drew before, so for one there is no unbiased estimate.
    """
    import altair as alt

    if not comparison.searches or is_adaptive(comparison):
        return None
    metric = get_search_metric(comparison)
    drawing = make_canvas(comparison, [row for s in comparison.searches.values() for row in _expected(s, metric)])
    if not drawing.rows:
        return None
    low, high = drawing.ends()
    margin = 0.08 * (high - low) or 0.1
    x = alt.X("tokens:Q", title="tokens trained by each method", axis=_counts())
    y = alt.Y(
        "value:Q",
        title=f"expected best {format_score_title(metric)}",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False),
    )
    colour = drawing.colour(legend=True)
    return drawing.layered(
        drawing.chart.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour),
        drawing.chart.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=colour, tooltip=make_tooltip("method", "tries", "budget", "exact")
        ),
        height=BUDGET_HEIGHT,
    )


def is_adaptive(comparison: Comparison) -> bool:
    """Whether what was tried depends on what had been tried before."""
    options = comparison.run.recipe.search
    return options is not None and options.sampler in ADAPTIVE


def get_search_metric(comparison: Comparison) -> Metric:
    """What the search compares its tries by, on the validation split."""
    options = comparison.run.recipe.search
    assert options is not None, "asked only where there is a search"
    return next(metric for metric in METRICS if metric.name == options.metric)


def format_score_title(metric: Metric) -> str:
    """What a score on the validation split is called, with its unit."""
    return f"validation {'loss' if metric.name == 'loss' else metric.title}, {metric.unit}"


def convert_unit(metric: Metric, score: float | None) -> float | None:
    """A validation score in the metric's unit: ROUGE is recorded in [0, 1] and shown as F1 × 100."""
    return score if score is None or metric.name == "loss" else 100 * score


def _tries(comparison: Comparison, metric: Metric) -> Iterator[Datum]:
    options = comparison.run.recipe.search
    shares = options.shares if options else ()
    for search in comparison.searches.values():
        for one in search.tries:
            scores = [convert_unit(metric, score) for score in one.scores]
            yield {
                "method": escape_control(search.label),
                "rate": one.hyperparameters[LEARNING_RATE],
                "value": scores[-1],
                "first": scores[0],
                "size": SIZES * len(scores),
                "trained": f"{format_share(shares[len(scores) - 1])} of a training",
                "exact": f"{scores[-1]:.4f} {metric.unit}" if scores[-1] is not None else one.records[-1].status,
                "configuration": format_hyperparameters(one.values),
                "chosen": "yes" if one is search.chosen else "no",
            }


def _lanes(comparison: Comparison) -> Iterator[Datum]:
    """Between which learning rates each method was searched, and what was added to its range."""
    ranged = [search for search in comparison.searches.values() if LEARNING_RATE in search.space]
    for i, search in enumerate(ranged):
        (least, greatest), (low, high) = (
            list_ends(search.final_space[LEARNING_RATE]),
            list_ends(search.space[LEARNING_RATE]),
        )
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


def _ranges(drawing: Canvas, rates: alt.Scale, seen: Mapping[str, Any]) -> Iterator[alt.Chart]:
    """A bar in its lane for each range, dotted where it was added later, with a tick at either end."""
    import altair as alt

    ranges = drawing.chart.transform_filter("isValid(datum.lane)")
    lane = alt.Y("lane:Q", scale=None, axis=None)  # pixels, and no scores
    dashes = alt.Scale(domain=["declared", "widened"], range=[[1, 0], [2, 3]])
    yield ranges.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", scale=rates),
        x2="high:Q",
        y=lane,
        strokeDash=alt.StrokeDash("part:N", scale=dashes, legend=None),
        tooltip=make_tooltip("method", "part", "range"),
        **seen,
    )
    for end in ("low", "high"):
        ticks = ranges.mark_tick(orient="vertical", size=10, thickness=2)
        yield ticks.encode(x=alt.X(f"{end}:Q", scale=rates), y=lane, **seen)


def _rates(there: Sequence[float]) -> alt.X:
    import altair as alt

    low, high = min(there) / 2, max(there) * 2
    written = "datum.value < 0.01 ? datum.label : format(datum.value, '~g')"  # 1e-4, but 0.1 and no 1e-1
    return alt.X(
        "rate:Q",
        title="learning rate, logarithmic",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=list_powers_of_ten(low, high), format="~e", grid=False, labelExpr=written),
    )


def _frame(scored: Sequence[float], metric: Metric) -> tuple[float, float]:
    """The best score and the worst that has a place beside it."""
    best, worst = (max(scored), min(scored)) if metric.higher_is_better else (min(scored), max(scored))
    reach = best + REACH * (median(scored) - best)
    return best, worst if worst == best or _is_within(worst, best, reach) else reach


def _is_within(score: float, best: float, worst: float) -> bool:
    return min(best, worst) <= score <= max(best, worst)


def _counts() -> alt.Axis:
    import altair as alt

    return alt.Axis(format="~s", grid=False, tickCount=6, labelExpr="datum.value ? datum.label : '0'")


def _expected(search: Search, metric: Metric) -> Iterator[Datum]:
    draws = [one for one in search.tries if not one.widened]
    tokens = max((sum(row.real_tokens for row in one.records[0].curve) for one in draws), default=0)
    scores = [convert_unit(metric, one.scores[0]) for one in draws]
    for n, score in enumerate(compute_expected_best(scores, lower_is_better=not metric.higher_is_better), start=1):
        if score is not None:
            yield {
                "method": escape_control(search.label),
                "tries": n,
                "tokens": n * tokens,
                "budget": f"{format_count(n * tokens)} tokens",
                "value": score,
                "exact": f"{score:.4f} {metric.unit}",
            }
