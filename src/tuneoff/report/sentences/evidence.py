"""What the intervals cover."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import find_regrets
from tuneoff.report.format import format_confidence
from tuneoff.report.population import describe_population, describe_test_examples
from tuneoff.report.sentences.names import name_trainings


def describe_evidence(comparison: Comparison) -> str:
    """Return what the intervals cover: the test examples and, with several runs of each method, its seeds."""
    confidence = format_confidence(comparison.run.recipe.verdict.confidence)
    seeds = [len(row.finished) for row in comparison.rows if row.finished and row.depends_on_seed]
    intervals = f"Intervals are {confidence} confidence intervals over {describe_test_examples(comparison)}"
    population = describe_population(comparison)
    if not seeds or max(seeds) == 1:
        return f"{intervals}; each method has one finished run, so the result is about {population}."
    fewest, most = min(seeds), max(seeds)
    trainings = f"{most if fewest == most else f'{fewest} to {most}'} {name_trainings(comparison)} per method"
    return (
        f"{intervals} and {trainings}, so the result is about {population}. "
        f"Intervals of differences hold for all pairs of a metric at once.{_describe_regrets(comparison)}"
    )


def _describe_regrets(comparison: Comparison) -> str:
    """Return that the intervals by the primary metric leave out what better learning rates might gain, if they do."""
    regrets = find_regrets(comparison.run.recipe, comparison.searches, comparison.metric)
    if all(label in regrets for label in comparison.searches):
        return ""
    return " They do not contain all that better learning rates might still gain."
