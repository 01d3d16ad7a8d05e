"""A comparison that runs until it is decided: which methods were dropped, and what its looks may cost in error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.error_spending import FIRST_LOOK
from tuneoff.analysis.looks import Look
from tuneoff.analysis.sequential import Rounds
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_confidence, join_list, pluralize


@dataclass(frozen=True, kw_only=True)
class LookLine:
    """One look as a line of a table."""

    seeds: str
    confidence: str  # of its intervals
    dropped: str


def describe_looks(comparison: Comparison) -> Iterator[str]:
    """Yield which methods were dropped after how many seeds, or that further looks need `until_decided`."""
    rounds = comparison.rounds
    if rounds and rounds.looks:
        yield _describe_rounds(comparison, rounds)
    elif rounds is None and comparison.partial and len(comparison.partial.seeds) >= FIRST_LOOK:
        yield (
            "Reading the verdict again after each further seed finds a false difference more often than stated; "
            "`until_decided: true` allows for it."
        )


def list_looks(comparison: Comparison) -> list[LookLine]:
    """Return a line for each look; none unless the comparison runs until it is decided."""
    return [
        LookLine(
            seeds=str(look.seeds),
            confidence=f"{100 * look.confidence:.2f} %",
            dropped=_describe_dropped(look) or ("all decided" if look.is_decided else "–"),
        )
        for look in (comparison.rounds.looks if comparison.rounds else ())
    ]


def _describe_rounds(comparison: Comparison, rounds: Rounds) -> str:
    dropped = [
        f"{escape_control(label)} after {look.seeds} seeds"
        for label, look in rounds.dropped.items()
        if comparison.run.recipe.methods[label].depends_on_seed
    ]
    confidence = format_confidence(comparison.run.recipe.verdict.confidence)
    looks = pluralize(len(rounds.looks), "look")
    stopped = f"; no further seed for {join_list(dropped)}" if dropped else ""
    return f"Judged after every further seed, with {confidence} confidence over all looks ({looks} so far){stopped}."


def _describe_dropped(look: Look) -> str:
    return "; ".join(
        f"{escape_control(label)}: {f'worse than {escape_control(better)}' if better else 'no run has a score'}"
        for label, better in look.dropped.items()
    )
