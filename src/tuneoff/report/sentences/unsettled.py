"""What a verdict leaves open, and what would settle it."""

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.needed import MOST_EXAMPLES, MOST_SEEDS, POWER, Needed
from tuneoff.analysis.verdict import Verdict
from tuneoff.report.format import format_confidence
from tuneoff.report.population import name_test_units
from tuneoff.report.sentences.names import Names, format_margin, name_trainings
from tuneoff.report.sentences.partial import describe_unfinished


def describe_unsettled(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    """Return what is not settled, and what would settle it."""
    if comparison.partial:
        return describe_unfinished(comparison, comparison.partial)
    if verdict.needed:
        return _describe_needed(comparison, verdict, verdict.needed, names)
    if verdict.kind == "open":
        return f"Open: {names.join(verdict.leaders)}. {_describe_unknown_noise(comparison, verdict)}"
    if verdict.kind == "one run":
        return f"Open: the methods themselves. More {name_trainings(comparison)} of each would show how far runs move."
    if verdict.kind == "winner where it trains":
        low, high = (round(100 * share) for share in _get_lost_interval(comparison, verdict))
        name = names.get(verdict.best)
        return f"Open: how often {name} loses a run, {low} to {high} %. More {name_trainings(comparison)} narrow this."
    return _describe_small_difference(comparison, verdict, names)


def _describe_needed(comparison: Comparison, verdict: Verdict, needed: Needed, names: Names) -> str:
    """Describe what would settle the pair that is hardest to decide."""
    pairs = [pair for pair in comparison.get_pairs(verdict.metric) if pair.better is verdict.best]
    undecided = sum(pair.decision == "open" and not comparison.is_dropped(pair.other, verdict.metric) for pair in pairs)
    hardest = f", the hardest of {undecided} pairs" if undecided > 1 else ""
    pair = f"{names.get(needed.pair.better)} or {names.get(needed.pair.other)}{hardest}"
    chance = f"with an {format_confidence(POWER)} chance, averaged over what is still possible"
    unit = name_trainings(comparison)
    counts = [f"{needed.seeds} {unit}"] if needed.seeds else []
    examples = name_test_units(comparison)
    counts += [f"{needed.examples:,} {examples}"] if needed.examples else []
    if counts:
        return f"Open: {pair}. {' or '.join(counts)} in all would settle it {chance}."
    return f"Open: {pair}. Neither {MOST_SEEDS} {unit} nor {MOST_EXAMPLES:,} {examples} settle it {chance}."


def _describe_unknown_noise(comparison: Comparison, verdict: Verdict) -> str:
    if verdict.best.scores[verdict.metric.name].examples > 1:
        return "What would settle it is not known, because a method has one finished run."
    units = name_test_units(comparison)
    return f"How far scores move between {units} is not known from one; more would show it."


def _get_lost_interval(comparison: Comparison, verdict: Verdict) -> tuple[float, float]:
    reliability = comparison.assess(verdict.best)
    return reliability.interval


def _describe_small_difference(comparison: Comparison, verdict: Verdict, names: Names) -> str:
    """Describe what remains where every pair with the best is decided."""
    margin = format_margin(comparison, verdict.metric)
    if verdict.kind == "tie":
        return f"Open: which of them is the best, by less than matters ({margin})."
    pairs = [pair for pair in comparison.get_pairs(verdict.metric) if pair.better is verdict.best]
    close = [pair.other for pair in pairs if pair.decision == "better"]
    if close:
        return f"Open: whether it is better than {names.join(close)} by more than matters ({margin})."
    return "Nothing about the best method is left open."
