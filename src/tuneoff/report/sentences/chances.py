"""The probability that each method is the best, and what choosing it may cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.verdict import Verdict
from tuneoff.report.format import format_score
from tuneoff.report.sentences.names import Names

LEAST_CHANCE = 0.01  # below it, a method is not named


@dataclass(frozen=True, kw_only=True)
class Chance:
    """One method's chances, as text."""

    label: str
    best: str
    within_margin: str
    regret: str


def list_chances(verdict: Verdict) -> Iterator[Chance]:
    """Yield the chances of every method, in the order of the ranking."""
    for label, chances in verdict.chances.items():
        yield Chance(
            label=label,
            best=format_chance(chances.best),
            within_margin=format_chance(chances.within_margin),
            regret=format_score(verdict.metric, chances.regret),
        )


def describe_chances(verdict: Verdict, names: Names) -> str:
    """Return the probability of each method to be the best, in one line; empty if it is not known."""
    named = {label: chances.best for label, chances in verdict.chances.items() if chances.best >= LEAST_CHANCE}
    if not named:
        return ""
    listed = [f"{names.by_label[label]} {format_chance(best)}" for label, best in named.items()]
    return f"Chance to be the best: {', '.join(listed)}."


def describe_condition(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    """Yield what chances leave out: lost runs, and what a better learning rate might gain."""
    if verdict.chances and any(comparison.assess(row).lost for row in comparison.rank(verdict.metric)):
        yield "Chances are about the methods where they train: lost runs are not counted in them."
    if verdict.chances and comparison.searches:
        yield "Chances are about each method at the learning rate that its search chose."


def format_chance(chance: float) -> str:
    """Format a probability from draws, which are too few to tell 0.1 % from 0."""
    if chance < LEAST_CHANCE:
        return "< 1 %"
    return "> 99 %" if chance > 1 - LEAST_CHANCE else f"{100 * chance:.0f} %"
