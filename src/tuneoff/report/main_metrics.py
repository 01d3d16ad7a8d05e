"""The two metrics that a report compares every pair of methods by."""

from collections.abc import Sequence

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import LOSS, Metric


def list_main_metrics(comparison: Comparison) -> tuple[Metric, ...]:
    """Return the primary metric, then one of the other kind: the loss, or the first metric of text if there is one."""
    return list_main(comparison.metrics)


def list_main(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return the first metric, which is the primary one, and one of the other kind."""
    primary = metrics[0]
    others = [LOSS] if primary.needs_generation else [metric for metric in metrics if metric.needs_generation]
    return (primary, *others[:1])
