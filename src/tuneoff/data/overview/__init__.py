"""What a user's data are, before anything is trained."""

from tuneoff.data.overview.columns import ColumnSummary
from tuneoff.data.overview.lengths import TOLERATED_CUT, Lengths, Quantiles
from tuneoff.data.overview.overview import Overview, Side, build_overview
from tuneoff.data.overview.rendered import RenderedExample

__all__ = [
    "TOLERATED_CUT",
    "ColumnSummary",
    "Lengths",
    "Overview",
    "Quantiles",
    "RenderedExample",
    "Side",
    "build_overview",
]
