"""How often a method lost a run, in words."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.reliability import Reliability, estimate_with_lost_runs
from tuneoff.analysis.row import Row
from tuneoff.analysis.statistics import Estimate
from tuneoff.metrics import Metric

VERBS = {"diverged": "diverged in", "failed": "failed in", "done": "collapsed in"}  # by a record's status
MEANING = "A lost run diverged, failed, or ended with a validation loss above the base model's."


def describe_lost(reliability: Reliability) -> str:
    """Return how often runs were lost, such as `diverged in 2 of 5 runs (5 to 85 %)`."""
    verbs = {VERBS[record.status] for record in reliability.lost}
    verb = verbs.pop() if len(verbs) == 1 else "lost"
    low, high = (round(100 * end) for end in reliability.interval)
    return f"{verb} {len(reliability.lost)} of {reliability.runs} runs ({low} to {high} %)"


def count_lost_runs(comparison: Comparison, row: Row, metric: Metric) -> Estimate | None:
    """Return a row's score with its lost runs counted as the base model's, or None if it lost none."""
    confidence = comparison.run.recipe.verdict.confidence
    return estimate_with_lost_runs(row, comparison.base, metric, comparison.assess(row), confidence)
