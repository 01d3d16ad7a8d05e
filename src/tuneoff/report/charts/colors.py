"""One color for each method, the same in every chart of a comparison."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tuneoff.analysis.comparison import Comparison

GREY = "#8b929c"  # for the base model
# Okabe and Ito 2008 without black and yellow, which vanish on a dark or a light background; then Tol's muted colors.
COLORS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
    "#999933", "#aa4499", "#44aa99", "#b08d57", "#cc6677", "#6f63c4",
)  # fmt: skip


def assign_colors(*comparisons: Comparison | None) -> dict[str, str]:
    """Return a color for each label of the recipes, so that a method keeps its color while its run is unfinished."""
    available = [comparison for comparison in comparisons if comparison]
    labels = [label for c in available for label in (*c.run.recipe.methods, *(row.label for row in c.rows))]
    return make_palette(labels, base_models={c.base.label for c in available if c.base})


def make_palette(labels: Sequence[str], *, base_models: Collection[str]) -> dict[str, str]:
    """Return a color for each label, in their order; base models are grey."""
    trained = dict.fromkeys(label for label in labels if label not in base_models)
    by_label = {label: COLORS[i % len(COLORS)] for i, label in enumerate(trained)}
    return {label: by_label.get(label, GREY) for label in dict.fromkeys(labels)}
