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
from tuneoff.evaluation.judge_questions import LOSS, TIE, WIN, Outcome, judge_pair, list_pairs
from tuneoff.metrics import Answer, Scores
from tuneoff.metrics.percent import make_percent_metric
from tuneoff.records.record import Record

Outcomes = Mapping[int, Outcome]  # by row of the test split


def _refuse(_: Sequence[Answer]) -> Scores:
    raise NotImplementedError("a judge compares two answers, so it cannot score one")


WIN_RATE = make_percent_metric(
    name="judge",
    title="Win rate",
    unit="%",
    meaning="Share of test examples on which the judge prefers the method's answer; a tie counts as half.",
    score=_refuse,
    margin=0.0,
)


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
    pairs = list_pairs(options, [record for row in judged_rows for record in row.finished])
    outcomes = {
        record.trial.id: {pair.row: found for pair in of_record if (found := judge_pair(pair, run.judgements))}
        for record, of_record in pairs
    }
    complete = set.intersection(*(set(of_record) for of_record in outcomes.values())) if outcomes else set()
    if not complete:
        return None
    keys = {question.key for _, of_record in pairs for pair in of_record for question in pair.questions}
    of_complete = [found for of_record in outcomes.values() for row, found in of_record.items() if row in complete]
    matrices: dict[str, ScoreMatrix] = {}
    by_label: dict[str, list[Outcome]] = defaultdict(list)
    for row in judged_rows:
        records = [_score(record, complete, outcomes.get(record.trial.id)) for record in row.finished]
        matrices[row.label] = build_score_matrix(records, WIN_RATE)
        for record in row.finished:
            by_label[row.label] += [outcomes[record.trial.id][i] for i in complete if record.trial.id in outcomes]
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
        examples=len(complete),
        missing=len(keys - run.judgements.keys()),
        disagreement=sum(not found.agrees for found in of_complete) / len(of_complete),
        first_share=first / decided if decided else TIE,
        decided=decided,
        unreadable=sum(found.unreadable for found in of_complete),
    )


def _score(record: Record, rows: set[int], outcomes: Outcomes | None) -> Record:
    """Return the record with the judged examples alone, scored; answers that were not compared are ties."""
    predictions = tuple(
        p.model_copy(update={"scores": {WIN_RATE.name: outcomes[p.row].score if outcomes else TIE}, "weights": {}})
        for p in record.predictions
        if p.row in rows
    )
    return record.model_copy(update={"predictions": predictions})


def _count(outcomes: Sequence[Outcome], score: float) -> int:
    return sum(outcome.score == score for outcome in outcomes)
