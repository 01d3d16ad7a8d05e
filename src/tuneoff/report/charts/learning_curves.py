"""Learning curves: the loss by step, with one line per trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from tuneoff.analysis.comparison import Comparison
from tuneoff.records.record import Epoch, Record
from tuneoff.report.charts.canvas import make_canvas, make_tooltip
from tuneoff.report.charts.rows import Datum
from tuneoff.report.escape import escape_control

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 300


def draw_loss_by_step(
    comparison: Comparison, field: Literal["train_loss", "validation_loss"], title: str
) -> alt.LayerChart | None:
    """Draw a line per trial. The larger point is the epoch whose weights were kept.

    A point of the training loss is a mean over the steps since the point before it, and has a mark where an epoch ends.

    The axis covers the trials that finished, and a diverged trial leaves the frame. Otherwise one diverged trial would
    flatten all other lines.
    """
    import altair as alt

    canvas = make_canvas(comparison, list(_make_rows(comparison, field)))
    if not canvas.rows:
        return None
    losses = [row["value"] for row in canvas.rows if row["status"] == "done"] or [row["value"] for row in canvas.rows]
    margin = 0.06 * (max(losses) - min(losses)) or 0.1
    x = alt.X(
        "step:Q",
        title="step",
        axis=alt.Axis(tickMinStep=1, format=",d", grid=False),
        scale=alt.Scale(domain=[0, max(row["step"] for row in canvas.rows)], nice=False, padding=14),
    )
    domain = [min(losses) - margin, max(losses) + margin]
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=domain, nice=False))
    selected = alt.selection_point(name=f"chosen_{field}", fields=["method"], bind="legend")
    opacity = alt.when(selected).then(alt.value(1)).otherwise(alt.value(0.12))
    color, by_seed = canvas.encode_color(legend=True), alt.Detail("seed:N")
    size = alt.Size("kept:O", scale=alt.Scale(domain=["no", "yes"], range=[36, 150]), legend=None)
    return canvas.combine(
        canvas.chart.mark_line(strokeWidth=2.2, clip=True).encode(
            x=x, y=y, detail=by_seed, color=color, opacity=opacity
        ),
        canvas.chart.transform_filter("datum.kept != null").mark_point(filled=True, clip=True).encode(
            x=x, y=y, detail=by_seed, color=color, opacity=opacity, size=size,
            tooltip=make_tooltip("method", "seed", "step", "epoch", "exact", "kept", "status"),
        ),
        height=HEIGHT,
    ).add_params(selected)  # fmt: skip


def _make_rows(comparison: Comparison, field: str) -> Iterator[Datum]:
    """Yield a row per point and trial, without infinite losses and methods that train nothing, which have one point.

    `kept` is null at a point within an epoch.
    """
    for record in (record for row in comparison.rows if row.trains for record in row.records):
        for step, epoch, loss, is_end in _list_points(record, field):
            if loss is not None and math.isfinite(loss):
                yield {
                    "method": escape_control(record.trial.label),
                    "seed": record.trial.seed,
                    "status": record.status,
                    "step": step,
                    "epoch": epoch.epoch,
                    "value": loss,
                    "exact": f"{loss:.4f}",
                    "kept": ("yes" if epoch.epoch == record.best_epoch else "no") if is_end else None,
                }


def _list_points(record: Record, field: str) -> Iterator[tuple[int, Epoch, float | None, bool]]:
    """Yield the step, the epoch, the loss, and whether the epoch ends there."""
    end = 0
    for epoch in record.curve:
        end += epoch.steps
        parts = epoch.parts if field == "train_loss" else ()
        step = end - sum(part.steps for part in parts)  # a checkpoint of an older version has none of its own steps
        for part in parts:
            step += part.steps
            yield step, epoch, part.train_loss, step == end
        if not parts:
            yield end, epoch, getattr(epoch, field), True
