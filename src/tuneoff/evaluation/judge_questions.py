"""The questions to a judge, and what its replies mean. Pure.

A pair of answers is asked in both orders, since judges prefer a position.

Source: Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv:2306.05685, section 3.4.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from tuneoff.config.judge import LOCAL, JudgeOptions
from tuneoff.methods import METHODS
from tuneoff.records.judgement import Judgement, Verdict
from tuneoff.records.record import Prediction, Record

if TYPE_CHECKING:
    from jinja2 import Template

WORDS: Mapping[str, Verdict] = {"a": "first", "b": "second", "tie": "tie"}
WIN, TIE, LOSS = 1.0, 0.5, 0.0

Item = TypeVar("Item")


@dataclass(frozen=True)
class Question:
    """One question: its text, and a hash of all that decides the reply."""

    key: str
    prompt: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A method's answer to one test example and the answer that it is compared with, as two questions.

    Without questions, the answers are equal, which needs no judge.
    """

    row: int
    method_first: Question | None
    method_second: Question | None

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is to be asked."""
        return tuple(question for question in (self.method_first, self.method_second) if question)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the replies say of a pair."""

    score: float  # of the method: 1 for a win, 0.5 for a tie and 0 for a loss, the mean over the two orders
    agrees: bool  # whether both orders say the same
    first_wins: int  # how many replies prefer the answer that comes first, and
    second_wins: int  # how many the other
    unreadable: int  # replies that do not say, which count as ties


def list_pairs(options: JudgeOptions, records: Sequence[Record]) -> list[tuple[Record, list[Pair]]]:
    """Return the pairs of each confirmed record with predictions. Compared with the base model, it has none itself.

    A record without generated text has none either: its run had no metric and no judge that needed it.
    """
    tested = [r for r in records if r.trial.stage == "confirm" and r.status == "done" and has_texts(r)]
    if options.against == "reference":
        return [(record, build_pairs(options, record.predictions, None)) for record in tested]
    base = next((record for record in tested if METHODS[record.trial.method].is_base), None)
    if base is None:
        return []
    answers = {prediction.row: prediction.prediction or "" for prediction in base.predictions}
    return [(record, build_pairs(options, record.predictions, answers)) for record in tested if record is not base]


def has_texts(record: Record) -> bool:
    """Return whether text was generated for the test split."""
    return bool(record.predictions) and all(p.prediction is not None for p in record.predictions)


def build_pairs(
    options: JudgeOptions, predictions: Sequence[Prediction], others: Mapping[int, str] | None
) -> list[Pair]:
    """Build the questions of one trial.

    Args:
        others: by row of the test split, the answers to compare with; None: the references.
    """
    template = _compile(options.prompt)

    def ask(prediction: Prediction, first: str, second: str) -> Question:
        prompt = template.render(
            source=prediction.source,
            reference=prediction.reference if others is not None else "",
            first=first,
            second=second,
        )
        return Question(_compute_key(options, prompt), prompt)

    pairs = []
    for p in select_evenly(predictions, options.examples):
        answer, other = p.prediction or "", others[p.row] if others is not None else p.reference
        is_same = answer == other
        pairs.append(
            Pair(
                row=p.row,
                method_first=None if is_same else ask(p, answer, other),
                method_second=None if is_same else ask(p, other, answer),
            )
        )
    return pairs


def select_evenly(items: Sequence[Item], number: int | None) -> list[Item]:
    """Return so many of the items, evenly spaced; all if there are no more."""
    if number is None or number >= len(items):
        return list(items)
    return [items[i * len(items) // number] for i in range(number)]


def read_verdict(reply: str) -> Verdict | None:
    """Return what the last line of a reply says; None if it is not just A, B or tie, perhaps after a colon."""
    lines = [line for line in reply.splitlines() if line.strip()]
    if not lines:
        return None
    last_word = re.sub(r"[^a-z: ]", "", lines[-1].lower()).split(":")[-1].strip()
    return WORDS.get(last_word.removeprefix("answer ").removeprefix("option "))


def judge_pair(pair: Pair, replies: Mapping[str, Judgement]) -> Outcome | None:
    """Return what the replies say of a pair; None if one of them is missing."""
    if pair.method_first is None or pair.method_second is None:
        return Outcome(score=TIE, agrees=True, first_wins=0, second_wins=0, unreadable=0)
    first, second = replies.get(pair.method_first.key), replies.get(pair.method_second.key)
    if first is None or second is None:
        return None
    verdicts = [first.verdict, second.verdict]
    scores = (_score(first.verdict, "first"), _score(second.verdict, "second"))
    return Outcome(
        score=fmean(scores),
        agrees=scores[0] == scores[1],
        first_wins=verdicts.count("first"),
        second_wins=verdicts.count("second"),
        unreadable=verdicts.count(None),
    )


def _score(verdict: Verdict | None, position: Verdict) -> float:
    if verdict is None or verdict == "tie":
        return TIE
    return WIN if verdict == position else LOSS


@functools.lru_cache(maxsize=8)
def _compile(prompt: str) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(prompt)


def _compute_key(options: JudgeOptions, prompt: str) -> str:
    """Hash what decides a reply. The address of an endpoint does not: a server may move."""
    asked = [options.model, options.endpoint == LOCAL, dict(options.parameters), prompt]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
