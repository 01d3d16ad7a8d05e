"""The two metrics that a report compares every pair of methods by."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import LOSS, ROUGE_L, Metric


def list_main_metrics(comparison: Comparison) -> tuple[Metric, Metric]:
    """Return the primary metric, then one of the other kind: the loss, or ROUGE-L where the primary one is the loss."""
    return comparison.metric, LOSS if comparison.metric.needs_generation else ROUGE_L
