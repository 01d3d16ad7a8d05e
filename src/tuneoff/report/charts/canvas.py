"""The rows and colors of one chart, with the encodings that all charts share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts.colors import assign_colors
from tuneoff.report.charts.rows import Datum
from tuneoff.report.escape import escape_control

if TYPE_CHECKING:
    import altair as alt

DIAGONAL_CROSS = "M-1,-1L1,1M1,-1L-1,1"  # a shape as an SVG path
TOOLTIP_TITLES = {
    "exact": "value",
    "cost_text": "cost",
    "cost_interval": "interval of the cost",
    "examples": "test examples",
    "front": "on the Pareto front",
    "kept": "best epoch",
    "trained": "trained for",
    "tries": "configurations",
    "part": "range is",
    "at": "swept value",
    "place": "rank",
    "runs": "one run",
    "lost_runs": "lost run, counted as the base model's",
}


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Rows to draw, each with its `method`, and the colors of those methods."""

    rows: Sequence[Datum]
    palette: Mapping[str, str]

    @property
    def chart(self) -> alt.Chart:
        """An empty layer. It has no data of its own, since all layers share the rows."""
        import altair as alt

        return alt.Chart()

    def combine(self, *layers: alt.Chart, height: float) -> alt.LayerChart:
        """Return the layers as one chart of the rows. Its width is that of the element that shows it."""
        import altair as alt

        rows = alt.InlineData(values=list(self.rows))
        return alt.LayerChart(data=rows, layer=list(layers), width="container", height=height)

    @property
    def methods(self) -> list[str]:
        """The methods to draw, in the order of the rows."""
        return list(dict.fromkeys(row["method"] for row in self.rows))

    def encode_color(self, *, legend: bool = False) -> alt.Color:
        """Color each mark by its method. A legend is needed only where no axis or text names the method."""
        import altair as alt

        return alt.Color(
            "method:N",
            scale=alt.Scale(domain=self.methods, range=[self.palette[method] for method in self.methods]),
            legend=alt.Legend(title=None, orient="top", symbolType="circle", symbolOpacity=1, labelLimit=150)
            if legend
            else None,
        )

    def draw_runs(self, axis: Literal["x", "y"], score_scale: alt.Scale, **place: Any) -> list[alt.Chart]:
        """Draw every run of a method as a dot, and every lost run as a cross at the base model's score.

        Args:
            axis: of the score.
            place: the other encodings, which say where the method is.
        """
        import altair as alt

        encode = {"x": alt.X, "y": alt.Y}[axis]
        outline = alt.value("currentColor")
        return [
            self.chart.transform_flatten([column])
            .mark_point(shape=shape, size=size, filled=False, strokeWidth=1.5, opacity=0.8)
            .encode(
                **{axis: encode(f"{column}:Q", scale=score_scale)}, **place,
                stroke=outline, tooltip=make_tooltip("method", column),
            )
            for column, shape, size in (("runs", "circle", 22), ("lost_runs", DIAGONAL_CROSS, 40))
        ]  # fmt: skip

    def find_extent(self, low: str = "value", high: str = "value") -> tuple[float, float]:
        """Return the minimum of the column `low` and the maximum of the column `high`."""
        return min(row[low] for row in self.rows), max(row[high] for row in self.rows)


def make_canvas(comparison: Comparison, rows: Sequence[Datum]) -> Canvas:
    """Return the rows with the comparison's colors."""
    return Canvas(rows=rows, palette=escape_labels(assign_colors(comparison)))


def escape_labels(palette: Mapping[str, str]) -> dict[str, str]:
    """Return the palette with its labels escaped, as they are in the rows."""
    return {escape_control(label): color for label, color in palette.items()}


def make_tooltip(*fields: str) -> list[alt.Tooltip]:
    """Return a tooltip that shows these fields of a row."""
    import altair as alt

    return [alt.Tooltip(field, type="nominal", title=TOOLTIP_TITLES.get(field, field)) for field in fields]


def list_powers_of_ten(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`, for the ticks of a logarithmic axis."""
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def list_log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten, and 2 and 5 times these where there would be fewer than three ticks."""
    powers = list_powers_of_ten(low, high)
    if len(powers) > 2:
        return powers
    return [n for p in list_powers_of_ten(low / 10, high) for m in (1, 2, 5) if low <= (n := m * p) <= high]
