"""What a verdict speaks of, in words, and what the train samples of replicates have in common."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.population import find_population
from tuneoff.data.statistics import TrainSamples
from tuneoff.report.format import format_share, pluralize

SMALL_OVERLAP = 0.05  # share of common examples; above it, the spread between samples is clearly too small


def describe_population(comparison: Comparison) -> str:
    """Return what the verdict is about, to follow "the verdict is about"."""
    data = comparison.run.data
    match find_population({row.label: row.finished for row in comparison.rows}):
        case "models":
            return "these trained models and not yet about the methods"
        case "train samples" if data.train_samples:
            return f"the methods on train samples of {data.train_samples.examples:,} examples like these"
        case _:
            return "the methods on this train split, over seeds"


def describe_test_examples(comparison: Comparison) -> str:
    """Return on how many test examples the scores are, and in how many groups these are, over which intervals are."""
    rows = [row for row in comparison.rows if row.scores]
    examples = max((len(row.finished[0].predictions) for row in rows), default=0)
    units = max((estimate.examples for row in rows for estimate in row.scores.values()), default=0)
    in_groups = f" in {pluralize(units, 'group')}" if has_groups(comparison) else ""
    return f"{pluralize(examples, 'test example')}{in_groups}"


def has_groups(comparison: Comparison) -> bool:
    """Return whether test examples belong to groups, over which the intervals then are."""
    return any(p.group is not None for row in comparison.rows for r in row.finished[:1] for p in r.predictions[:1])


def name_test_units(comparison: Comparison) -> str:
    """Return what more of would narrow the intervals: test examples, or groups of them."""
    return "groups of test examples" if has_groups(comparison) else "test examples"


def describe_samples(samples: TrainSamples) -> str:
    """Return how the train samples of replicates were drawn, and what they have in common."""
    count = len(samples.fingerprints)
    pool = f", drawn from {samples.pool_examples:,}" if samples.pool_examples is not None else ""
    drawn = f"{count} train samples of {samples.examples:,} examples{pool}"
    if not samples.overlap:
        return f"{drawn}; no two share an example"
    return f"{drawn}; two of them share {format_share(samples.overlap)} of their examples on average"


def describe_overlap(samples: TrainSamples) -> str | None:
    """Return what samples that share examples mean for the intervals; None if they share almost none.

    For a score that is a mean over examples, the variance between samples with a share `o` of common examples is
    `1 - o` times that between samples without any.
    """
    if samples.overlap <= SMALL_OVERLAP:
        return None
    spread = (1 - samples.overlap) ** 0.5
    return (
        f"Two train samples share {format_share(samples.overlap)} of their examples on average, because there are only "
        f"{samples.pool_examples or 0:,} to draw from. The part of the spread that comes from the train sample is then "
        f"about {format_share(spread)} of what it is between samples without a common example, so the intervals are "
        "somewhat too narrow for new data. Give more rows for train, or lower data.sizes.train."
    )


def describe_grown_split(comparison: Comparison) -> str:
    """Return what a verdict is worth that was read before on a part of its test split; empty if it was not.

    Reading a verdict again with more test examples finds more false differences, unless the error is divided by the
    number of looks (docs/concepts/calibration.md).
    """
    use = comparison.split_use
    if use is None or not use.related_runs:
        return ""
    looks, error = use.related_runs + use.runs, 1 - comparison.run.recipe.verdict.confidence
    runs = "Another run" if use.related_runs == 1 else f"{use.related_runs} other runs"
    confidence = f"{1 - error / looks:.4g}"
    return (
        f"{runs} on this machine used a test split that shares most of its examples with this one. A verdict that is "
        "read again after adding test examples is not valid at its stated confidence: each look has its own chance "
        f"to find a false difference. It is valid if all looks go by verdict.confidence={confidence}, which divides "
        f"the error by {looks} looks, or on test examples that none of the runs has used."
    )
