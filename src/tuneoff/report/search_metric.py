"""The metric that a search compares its configurations by, and how its scores are shown."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import LOSS, Metric
from tuneoff.search.sampling import ADAPTIVE


def get_search_metric(comparison: Comparison) -> Metric:
    """Return the metric that the search compares configurations by, on the validation split."""
    options = comparison.run.recipe.search
    assert options is not None, "only called for a comparison with a search"
    return comparison.run.recipe.metric_table[options.metric]


def format_score_title(metric: Metric) -> str:
    """Return the name of a validation score with its unit."""
    return f"validation {'loss' if metric is LOSS else metric.title}, {metric.unit}"


def convert_unit(metric: Metric, score: float | None) -> float | None:
    """Convert a validation score to the metric's unit: ROUGE is recorded in [0, 1] and shown as F1 × 100."""
    return None if score is None else metric.scale * score


def is_adaptive(comparison: Comparison) -> bool:
    """Return whether the sampler chooses a configuration by the scores of earlier ones."""
    options = comparison.run.recipe.search
    return options is not None and options.sampler in ADAPTIVE
