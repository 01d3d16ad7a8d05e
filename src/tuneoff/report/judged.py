"""The table of what a judge said, and how far it is to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.judged import Judged, JudgedMethod, summarize_judgements
from tuneoff.metrics.judge import WIN_RATE
from tuneoff.report.benchmarks import describe_change, get_change_style
from tuneoff.report.escape import escape_control
from tuneoff.report.format import (
    format_interval,
    format_score,
    format_share,
    format_signed,
    join_list,
    pluralize,
)
from tuneoff.report.tables import format_csv


@dataclass(frozen=True, kw_only=True)
class JudgeLine:
    """One method as text; `style` is that of the cells of differences."""

    label: str
    win_rate: str
    interval: str
    change: str
    change_interval: str
    style: str
    meaning: str
    wins: str
    ties: str
    losses: str


@dataclass(frozen=True, kw_only=True)
class JudgeTable:
    """The methods in the order of the ranking; without lines if the judge has not answered yet."""

    description: str
    prompt: str
    lines: tuple[JudgeLine, ...]


def build_judge_table(comparison: Comparison) -> JudgeTable | None:
    """Build the table; None without a judge in the recipe."""
    options = comparison.run.recipe.judge
    if options is None:
        return None
    judged = summarize_judgements(comparison)
    if judged is None:
        description = (
            f"{options.model} has not answered all questions of any test example. Run the same command again to ask it."
        )
        return JudgeTable(description=description, prompt=options.prompt, lines=())
    labels = [row.label for row in comparison.rows if row.label in judged.methods]
    return JudgeTable(
        description=" ".join(describe_judge(judged, options.model, ranks=comparison.metric is WIN_RATE)),
        prompt=options.prompt,
        lines=tuple(_build_line(label, judged.methods[label]) for label in labels),
    )


def describe_judge(judged: Judged, model: str, *, ranks: bool) -> Iterator[str]:
    """Yield sentences on what was asked, and on the judge's own faults.

    Args:
        ranks: whether the win rate is the primary metric.
    """
    other = "the base model's" if judged.against == "base" else "the reference"
    yield (
        f"{model} compared each method's answer with {other} on {pluralize(judged.examples, 'test example')}, in both "
        "orders. The win rate is the mean over both, and a tie counts as half a win. A pair is undecided if its orders "
        "disagree, or if one is a tie."
    )
    yield (
        f"With the order swapped, it contradicts itself in {format_share(judged.disagreement)} of the pairs, and "
        f"{format_share(judged.first_share)} of its {judged.decided:,} decided replies prefer the first answer."
    )
    if ranks and len(judged.methods) > 1:
        yield (
            f"The win rate ranks the methods. The difference of two says which wins more often against {other}; the "
            "judge has not compared them with each other."
        )
    if judged.unreadable:
        yield f"{pluralize(judged.unreadable, 'reply says', 'replies say')} nothing readable and count as ties."
    if judged.missing:
        yield f"{pluralize(judged.missing, 'question has', 'questions have')} no reply yet."


def describe_win_rates(comparison: Comparison) -> Iterator[str]:
    """Yield one line with the win rate of each method; none without judgements."""
    judged, options = summarize_judgements(comparison), comparison.run.recipe.judge
    if judged is None or options is None:
        return
    other = "the base model" if judged.against == "base" else "the reference"
    rates = [
        f"{escape_control(row.label)} {format_score(WIN_RATE, rate.mean)} % ({format_interval(WIN_RATE, rate)})"
        for row in comparison.rows
        if row.label in judged.methods
        for rate in [judged.methods[row.label].win_rate]
    ]
    yield f"The judge {options.model} prefers to {other}: {join_list(rates)} of the time."


def format_judge_csv(judged: Judged) -> str:
    """Format what the judge said as CSV, one line for each method, in full precision and percent."""
    return format_csv([dict(_list_cells(label, method, judged)) for label, method in judged.methods.items()])


def _list_cells(label: str, method: JudgedMethod, judged: Judged) -> Iterator[tuple[str, Any]]:
    rate, change = method.win_rate, method.change
    difference = change.difference if change else None
    yield from {"method": label, "examples": judged.examples, "win_rate": rate.mean, "low": rate.low}.items()
    yield from {"high": rate.high, "wins": 100 * method.wins, "ties": 100 * method.ties}.items()
    yield from {"losses": 100 * method.losses, "change": difference and difference.mean}.items()
    yield from {"change_low": difference and difference.low, "change_high": difference and difference.high}.items()
    yield "p", change.p if change and change.knows_seed_variance else None


def _build_line(label: str, method: JudgedMethod) -> JudgeLine:
    change = method.change
    decimals = WIN_RATE.decimals
    return JudgeLine(
        label=label,
        win_rate=format_score(WIN_RATE, method.win_rate.mean),
        interval=format_interval(WIN_RATE, method.win_rate),
        change=format_signed(change.difference.mean, decimals) if change else "",
        change_interval=f"{format_signed(change.difference.low, decimals)} to "
        f"{format_signed(change.difference.high, decimals)}"
        if change
        else "",
        style=get_change_style(change) if change else "",
        meaning=describe_change(change) if change else "",
        wins=format_share(method.wins),
        ties=format_share(method.ties),
        losses=format_share(method.losses),
    )
