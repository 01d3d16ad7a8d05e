"""What all charts share: rows of data, a colour for each method, and the encodings made from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuneoff.analysis.comparison import Comparison, Row
from tuneoff.analysis.metrics import COSTS, Cost, Metric
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_cost, format_interval, format_score

if TYPE_CHECKING:
    import altair as alt

Datum = dict[str, Any]  # Any: numbers and words, by column

GREY = "#8b929c"  # the untouched model's, in every chart
# Okabe and Ito 2008 without black and its yellow, which vanish on one background or the other; then Tol's muted ones
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
    "#999933", "#aa4499", "#44aa99", "#b08d57", "#cc6677", "#6f63c4",
)  # fmt: skip


def assign_colors(*comparisons: Comparison | None) -> dict[str, str]:
    """A colour for each label of the recipes: the same in a half run as in the whole one."""
    there = [comparison for comparison in comparisons if comparison]
    labels = [label for c in there for label in (*c.run.recipe.methods, *(row.label for row in c.rows))]
    return make_palette(labels, untouched={c.base.label for c in there if c.base})


def make_palette(labels: Sequence[str], *, untouched: Collection[str]) -> dict[str, str]:
    """A colour for each label, in their order; grey for what trains nothing."""
    trained = dict.fromkeys(label for label in labels if label not in untouched)
    by_label = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(trained)}
    return {label: by_label.get(label, GREY) for label in dict.fromkeys(labels)}


def get_memory_kind(comparison: Comparison) -> str:
    """Which memory was measured: `allocated` on a card, `resident` on a CPU."""
    memories = [record.costs.training_memory for record in comparison.run.records if record.costs]
    return "allocated" if any(memory and memory.allocated_bytes is not None for memory in memories) else "resident"


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Rows to draw, each with its `method`, and the colours of those methods."""

    rows: Sequence[Datum]
    palette: Mapping[str, str]

    @property
    def chart(self) -> alt.Chart:
        """A layer with nothing drawn in it yet; the rows are handed to all layers at once."""
        import altair as alt

        return alt.Chart()

    def layered(self, *layers: alt.Chart, height: float) -> alt.LayerChart:
        """The layers as one chart of the rows, as wide as the place that it is shown in."""
        import altair as alt

        rows = alt.InlineData(values=list(self.rows))
        return alt.LayerChart(data=rows, layer=list(layers), width="container", height=height)

    @property
    def methods(self) -> list[str]:
        """The methods to draw, in the order of the rows."""
        return list(dict.fromkeys(row["method"] for row in self.rows))

    def colour(self, *, legend: bool = False) -> alt.Color:
        """A method's own colour; a legend only where no axis and no text names the method."""
        import altair as alt

        return alt.Color(
            "method:N",
            scale=alt.Scale(domain=self.methods, range=[self.palette[method] for method in self.methods]),
            legend=alt.Legend(title=None, orient="top", symbolType="circle", symbolOpacity=1, labelLimit=150)
            if legend
            else None,
        )

    def ends(self, low: str = "value", high: str = "value") -> tuple[float, float]:
        """The least and the greatest number in two columns."""
        return min(row[low] for row in self.rows), max(row[high] for row in self.rows)


def make_canvas(comparison: Comparison, rows: Sequence[Datum]) -> Canvas:
    """The rows with the comparison's colours."""
    return Canvas(
        rows=rows, palette={escape_control(label): colour for label, colour in assign_colors(comparison).items()}
    )


def make_tooltip(*fields: str) -> list[alt.Tooltip]:
    """What a row says when it is pointed at."""
    import altair as alt

    titles = {"exact": "value", "price": "cost", "examples": "test examples"}
    return [alt.Tooltip(field, type="nominal", title=titles.get(field, field)) for field in fields]


def list_powers_of_ten(low: float, high: float) -> list[float]:
    """Where a logarithmic axis between two numbers has its ticks."""
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def list_log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or their doubles and halves too where there would be fewer than three."""
    powers = list_powers_of_ten(low, high)
    if len(powers) > 2:
        return powers
    return [n for p in list_powers_of_ten(low / 10, high) for m in (1, 2, 5) if low <= (n := m * p) <= high]


def get_cost(name: str) -> Cost:
    """The cost called `name`."""
    return next(cost for cost in COSTS if cost.name == name)


def make_cost_rows(comparison: Comparison, cost: Cost, *, scale: float = 1) -> list[Datum]:
    """What each method cost, times `scale`, for the methods that have such a cost."""
    return [
        {
            "method": escape_control(row.label),
            "value": row.costs[cost.name] * scale,
            "said": format_cost(cost, row.costs[cost.name]),
            "exact": f"{row.costs[cost.name]:,.10g} {cost.unit}".strip(),
        }
        for row in comparison.rows
        if cost.name in row.costs
    ]


def make_score_rows(comparison: Comparison, *metrics: Metric) -> list[Datum]:
    """What each method scored by each metric, where it did."""
    return [
        make_score_row(row, metric)
        for row in comparison.rows
        for metric in metrics
        if metric.name in row.scores and math.isfinite(row.scores[metric.name].mean)
    ]


def make_score_row(row: Row, metric: Metric) -> Datum:
    """What one method scored by one metric."""
    estimate = row.scores[metric.name]
    return {
        "method": escape_control(row.label),
        "metric": metric.title,
        "value": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "said": format_score(metric, estimate.mean),
        "exact": f"{estimate.mean:.4f} {metric.unit}",
        "interval": format_interval(metric, estimate),
        "examples": f"{estimate.examples:,}",
    }
