"""Learning curves: the loss by epoch, a line for each trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.charts.canvas import Datum, make_canvas, make_tooltip
from tuneoff.report.escape import escape_control

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 300


def draw_loss_by_epoch(
    comparison: Comparison, field: Literal["train_loss", "validation_loss"], title: str
) -> alt.LayerChart | None:
    """A larger mark is the epoch whose weights were kept.

    The axis fits the trainings that held, and a diverged one leaves it: otherwise the one would flatten the others.
    """
    import altair as alt

    drawing = make_canvas(comparison, list(_rows(comparison, field)))
    if not drawing.rows:
        return None
    held = [row["value"] for row in drawing.rows if row["status"] == "done"] or [r["value"] for r in drawing.rows]
    margin = 0.06 * (max(held) - min(held)) or 0.1
    epochs = sorted({row["epoch"] for row in drawing.rows})
    x = alt.X(
        "epoch:Q",
        title="epoch",
        axis=alt.Axis(values=epochs[:: math.ceil(len(epochs) / 10)], format="d", grid=False),
        scale=alt.Scale(domain=[epochs[0], epochs[-1]], nice=False, padding=14),
    )
    y = alt.Y(
        "value:Q", title=title, scale=alt.Scale(domain=[min(held) - margin, max(held) + margin], nice=False)
    )  # fmt: skip
    chosen = alt.selection_point(name=f"chosen_{field}", fields=["method"], bind="legend")
    opacity = alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12))
    colour, each = drawing.colour(legend=True), alt.Detail("seed:N")
    size = alt.Size("kept:O", scale=alt.Scale(domain=["no", "yes"], range=[36, 150]), legend=None)
    return drawing.layered(
        drawing.chart.mark_line(strokeWidth=2.2, clip=True).encode(
            x=x, y=y, detail=each, color=colour, opacity=opacity
        ),
        drawing.chart.mark_point(filled=True, clip=True).encode(
            x=x, y=y, detail=each, color=colour, opacity=opacity, size=size,
            tooltip=make_tooltip("method", "seed", "epoch", "exact", "kept", "status"),
        ),
        height=HEIGHT,
    ).add_params(chosen)  # fmt: skip


def _rows(comparison: Comparison, field: str) -> Iterator[Datum]:
    """One row for each point; the untouched model's single one is no curve, and the infinite cannot be drawn."""
    for record in (record for row in comparison.rows if row is not comparison.base for record in row.records):
        for epoch in record.curve:
            loss: float | None = getattr(epoch, field)
            if loss is not None and math.isfinite(loss):
                yield {
                    "method": escape_control(record.trial.label),
                    "seed": record.trial.seed,
                    "status": record.status,
                    "epoch": epoch.epoch,
                    "value": loss,
                    "exact": f"{loss:.4f}",
                    "kept": "yes" if epoch.epoch == record.best_epoch else "no",
                }
