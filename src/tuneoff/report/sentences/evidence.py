"""How far the evidence goes: why a difference is undecided, what would settle it, and what the intervals cover."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.needed import MOST_EXAMPLES, MOST_SEEDS, POWER, Needed
from tuneoff.analysis.pairs import Pair
from tuneoff.records.metrics import ROUGE_L
from tuneoff.report.format import format_confidence, format_score, pluralize
from tuneoff.report.population import describe_population
from tuneoff.report.sentences.names import format_difference, name_row


def describe_open(comparison: Comparison, pair: Pair) -> str:
    """Return why a pair is undecided: its interval includes zero, or the difference fails one of the further tests."""
    if pair.difference.low <= 0:
        return "within noise"
    options = comparison.run.recipe.verdict
    if not pair.paired.knows_seed_variance:
        return "undecided because one of the two has a single run, so its variation between runs is unknown"
    if pair.p >= 1 - options.confidence:
        pairs = len(comparison.get_pairs(pair.metric))
        correction = f" with Holm's correction for {pairs} pairs" if pairs > 1 else ""
        return f"not significant (p = {pair.p:.2f}{correction})"
    margin = format_score(pair.metric, pair.metric.margin(options))
    return f"less than the smallest difference that matters, {margin}"


def describe_needed(needed: Needed) -> str:
    """Return how many seeds or test examples would settle the pair that is hardest to decide."""
    better, other = name_row(needed.pair.better), name_row(needed.pair.other)
    pair = f"the difference between {better} and {other}, {format_difference(needed.pair)}"
    counts = []
    if needed.seeds:
        counts.append(f"{needed.seeds} seeds per method")
    if needed.examples:
        counts.append(f"{needed.examples:,} test examples")
    if counts:
        return f"About {' or '.join(counts)} in total would settle {pair}, with {format_confidence(POWER)} power."
    examples = f"{MOST_EXAMPLES:,} test examples"
    if needed.pair.paired.first.seeds == 1:
        return f"Even {examples} would not settle {pair}."
    return f"Neither {MOST_SEEDS} seeds per method nor {examples} alone would settle {pair}."


def describe_evidence(comparison: Comparison) -> Iterator[str]:
    """Yield what the intervals cover."""
    confidence = format_confidence(comparison.run.recipe.verdict.confidence)
    examples = max(row.scores[ROUGE_L.name].examples for row in comparison.rows if row.scores)
    seeds = [len(row.finished) for row in comparison.rows if row.finished and not row.is_base]
    intervals = f"Intervals are {confidence} confidence intervals over {pluralize(examples, 'test example')}"
    population = describe_population(comparison)
    if not seeds or max(seeds) == 1:
        yield f"{intervals}; each method was trained once, so the result is about {population}."
        return
    fewest, most = min(seeds), max(seeds)
    unit = "replicates" if comparison.run.recipe.replicates else "seeds"
    trainings = f"{most if fewest == most else f'{fewest} to {most}'} {unit} per method"
    yield f"{intervals} and {trainings}, so the result is about {population}."
