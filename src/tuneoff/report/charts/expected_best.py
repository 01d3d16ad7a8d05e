"""The validation score to expect from a smaller search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import Metric
from tuneoff.report.charts.canvas import make_canvas, make_tooltip
from tuneoff.report.charts.rows import Datum
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_count
from tuneoff.report.search_metric import convert_unit, format_score_title, get_search_metric, is_adaptive
from tuneoff.search.expected_best import compute_expected_best
from tuneoff.search.history import Search

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 280


def draw_expected_by_budget(comparison: Comparison) -> alt.LayerChart | None:
    """Draw the expected best score of n configurations over the tokens that train n of them to the first rung.

    Only configurations drawn from the design are used, whatever the scores: on the first rung they were trained for as
    long and differ only by chance. The defaults were no draw, and the choice of the others depended on scores. So did
    all choices of an adaptive sampler, which has no unbiased estimate and no chart.
    """
    import altair as alt

    if not comparison.searches or is_adaptive(comparison):
        return None
    metric = get_search_metric(comparison)
    rows = [row for search in comparison.searches.values() for row in _make_rows(search, metric)]
    canvas = make_canvas(comparison, rows)
    if not canvas.rows:
        return None
    low, high = canvas.find_extent()
    margin = 0.08 * (high - low) or 0.1
    x = alt.X(
        "tokens:Q",
        title="tokens trained on by each method",
        axis=alt.Axis(format="~s", grid=False, tickCount=6, labelExpr="datum.value ? datum.label : '0'"),
    )
    y = alt.Y(
        "value:Q",
        title=f"expected best {format_score_title(metric)}",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False),
    )
    color = canvas.encode_color(legend=True)
    return canvas.combine(
        canvas.chart.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=color),
        canvas.chart.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=color, tooltip=make_tooltip("method", "tries", "budget", "exact")
        ),
        height=HEIGHT,
    )


def _make_rows(search: Search, metric: Metric) -> Iterator[Datum]:
    drawn = [configuration for configuration in search.tries if configuration.is_independent]
    tokens = max((sum(row.real_tokens for row in configuration.records[0].curve) for configuration in drawn), default=0)
    scores = [convert_unit(metric, configuration.scores[0]) for configuration in drawn]
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
