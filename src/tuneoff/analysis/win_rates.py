"""What a judge said as scores of examples, so that they have intervals, pairs and a verdict as any metric has.

Every method is compared with the same opponent: the base model's answer, or the reference. So the difference of two
methods says which one wins more often against that opponent. The judge has not compared them with each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tuneoff.config.judge import JudgeOptions
from tuneoff.evaluation.judge_questions import TIE, Outcome, Pair, judge_pair, list_pairs
from tuneoff.methods import METHODS
from tuneoff.metrics.judge import WIN_RATE
from tuneoff.records.judgement import Judgement
from tuneoff.records.record import Record


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What the replies of a judge say of several trials."""

    pairs: tuple[Pair, ...]  # of all trials, whether they have replies or not
    by_trial: Mapping[str, Mapping[int, Outcome]]  # by trial and row; the base model is not compared with itself
    complete: frozenset[int]  # the rows that have an outcome in every trial
    against_base: bool

    @property
    def are_finished(self) -> bool:
        """Whether every pair has its replies. The first ones to be known are equal answers, which are ties."""
        return bool(self.pairs) and len(self.pairs) == sum(map(len, self.by_trial.values()))

    def score(self, record: Record) -> Record:
        """Return the record with the score of every complete row, if it was judged.

        The base model's answer, where it is the opponent, ties with itself.
        """
        found = self.by_trial.get(record.trial.id)
        is_opponent = self.against_base and METHODS[record.trial.method].is_base and record.trial.stage == "confirm"
        if found is None and not is_opponent:
            return record
        predictions = tuple(
            p.model_copy(update={"scores": {**p.scores, WIN_RATE.name: found[p.row].score if found else TIE}})
            if p.row in self.complete
            else p
            for p in record.predictions
        )
        return record.model_copy(update={"predictions": predictions})


def find_outcomes(options: JudgeOptions, records: Sequence[Record], judgements: Mapping[str, Judgement]) -> Outcomes:
    """Read what a judge said of the confirmed trials among the records."""
    of_records = list_pairs(options, records)
    by_trial = {
        record.trial.id: {pair.row: found for pair in of_record if (found := judge_pair(pair, judgements))}
        for record, of_record in of_records
    }
    complete: Collection[int] = set.intersection(*map(set, by_trial.values())) if by_trial else ()
    return Outcomes(
        pairs=tuple(pair for _, of_record in of_records for pair in of_record),
        by_trial=by_trial,
        complete=frozenset(complete),
        against_base=options.against == "base",
    )
