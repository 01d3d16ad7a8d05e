"""What a judge said: how often each method's answers win, and how far the judge is to be trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tuneoff.analysis.change import Change, compare_to_base
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import build_score_matrix
from tuneoff.analysis.statistics import Estimate, ScoreMatrix, estimate_mean
from tuneoff.analysis.win_rates import find_outcomes
from tuneoff.evaluation.judge_questions import LOSS, TIE, WIN, Outcome
from tuneoff.metrics.judge import WIN_RATE


@dataclass(frozen=True, kw_only=True)
class JudgedMethod:
    """One method's answers against those that they are compared with."""

    win_rate: Estimate  # percent; ties count as half
    change: Change | None  # minus the base model's, which is 50 % where answers are compared with its own
    wins: float  # shares of the examples and seeds
    ties: float
    losses: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a judge said of all methods, over the test examples of which it answered every question."""

    methods: Mapping[str, JudgedMethod]  # by label
    against: Literal["base", "reference"]
    examples: int
    missing: int  # questions without a reply
    disagreement: float  # share of pairs whose two orders have different verdicts
    first_share: float  # share of decided replies that prefer the answer that comes first
    decided: int  # replies that prefer an answer
    unreadable: int  # replies that say nothing, which count as ties


def summarize_judgements(comparison: Comparison) -> Judged | None:
    """Summarize what the judge said; None without a judge or before it answered all questions of an example."""
    options, run = comparison.run.recipe.judge, comparison.run
    if options is None:
        return None
    judged_rows = [row for row in comparison.rows if row.finished]
    outcomes = find_outcomes(options, [record for row in judged_rows for record in row.finished], run.judgements)
    if not outcomes.complete:
        return None
    keys = {question.key for pair in outcomes.pairs for question in pair.questions}
    of_complete = [
        found for of_trial in outcomes.by_trial.values() for row, found in of_trial.items() if row in outcomes.complete
    ]
    matrices: dict[str, ScoreMatrix] = {}
    by_label: dict[str, list[Outcome]] = defaultdict(list)
    for row in judged_rows:
        matrices[row.label] = build_score_matrix([outcomes.score(record) for record in row.finished], WIN_RATE)
        for record in row.finished:
            of_trial = outcomes.by_trial.get(record.trial.id, {})
            by_label[row.label] += [found for i, found in of_trial.items() if i in outcomes.complete]
    base = comparison.base.label if comparison.base and comparison.base.label in matrices else None
    changes = compare_to_base(matrices, base, run.recipe.verdict.confidence)
    first = sum(found.first_wins for found in of_complete)
    decided = first + sum(found.second_wins for found in of_complete)
    return Judged(
        methods={
            label: JudgedMethod(
                win_rate=estimate_mean(matrices[label], run.recipe.verdict.confidence),
                change=changes.get(label),
                wins=_count(found, WIN) / len(found),
                ties=sum(LOSS < outcome.score < WIN for outcome in found) / len(found),
                losses=_count(found, LOSS) / len(found),
            )
            for label, found in by_label.items()
            if found
        },
        against=options.against,
        examples=len(outcomes.complete),
        missing=len(keys - run.judgements.keys()),
        disagreement=sum(not found.agrees for found in of_complete) / len(of_complete),
        first_share=first / decided if decided else TIE,
        decided=decided,
        unreadable=sum(found.unreadable for found in of_complete),
    )


def _count(outcomes: Sequence[Outcome], score: float) -> int:
    return sum(outcome.score == score for outcome in outcomes)
