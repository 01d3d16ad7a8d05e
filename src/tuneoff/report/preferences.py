"""The table of what people preferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.preferences import Preference, summarize_votes
from tuneoff.report.format import format_confidence, pluralize
from tuneoff.report.tables import format_csv


@dataclass(frozen=True, kw_only=True)
class PreferenceLine:
    """One method as text."""

    label: str
    win_rate: str
    interval: str
    wins: str
    ties: str
    losses: str
    votes: str


@dataclass(frozen=True, kw_only=True)
class PreferenceTable:
    """The methods, the most preferred one first."""

    description: str
    lines: tuple[PreferenceLine, ...]


def summarize_preferences(comparison: Comparison) -> dict[str, Preference]:
    """Summarize the votes of a run for its methods; empty without votes."""
    run = comparison.run
    return summarize_votes(run.votes, [row.label for row in comparison.rows], run.recipe.verdict.confidence)


def build_preference_table(comparison: Comparison) -> PreferenceTable | None:
    """Build the table; None without votes."""
    preferences = summarize_preferences(comparison)
    if not preferences:
        return None
    votes = comparison.run.votes
    prompts = len({vote.prompt for vote in votes})
    confidence = format_confidence(comparison.run.recipe.verdict.confidence)
    description = (
        f"{pluralize(len(votes), 'vote')} on {pluralize(prompts, 'prompt')}, given on the page of tuneoff serve to "
        "answers whose methods were hidden. A vote for an answer is a win over each other answer beside it, and a tie "
        f"counts as half a win, so 50 % is chance. Intervals are {confidence} each, over prompts, and hold for those "
        "who voted."
    )
    return PreferenceTable(description=description, lines=tuple(_build_line(*item) for item in preferences.items()))


def format_preferences_csv(preferences: Mapping[str, Preference]) -> str:
    """Format the preferences as CSV, one line for each method, in full precision and percent."""
    return format_csv(
        [
            {
                "method": label,
                "win_rate": 100 * p.win_rate.mean,
                "low": 100 * p.win_rate.low,
                "high": 100 * p.win_rate.high,
                "wins": p.wins,
                "ties": p.ties,
                "losses": p.losses,
                "votes": p.votes,
                "prompts": p.win_rate.examples,
            }
            for label, p in preferences.items()
        ]
    )


def _build_line(label: str, preference: Preference) -> PreferenceLine:
    rate = preference.win_rate
    return PreferenceLine(
        label=label,
        win_rate=f"{100 * rate.mean:.1f}",
        interval=f"{100 * rate.low:.1f} to {100 * rate.high:.1f}",
        wins=f"{preference.wins:,}",
        ties=f"{preference.ties:,}",
        losses=f"{preference.losses:,}",
        votes=f"{preference.votes:,}",
    )
