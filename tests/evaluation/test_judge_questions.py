"""The questions to a judge, and what its replies mean."""

import itertools
from typing import Any

import pytest

from tuneoff.config.judge import JudgeOptions
from tuneoff.errors import RecipeError
from tuneoff.evaluation.judge_questions import build_pairs, judge_pair, read_verdict, select_evenly
from tuneoff.records.judgement import Judgement
from tuneoff.records.record import Prediction

OPTIONS = JudgeOptions(model="m")


def make_prediction(row: int, text: str, reference: str = "right") -> Prediction:
    return Prediction(
        row=row, source=f"source {row}", reference=reference, prediction=text, loss=1.0, target_tokens=1, scores={}
    )


def build_pair(options: JudgeOptions = OPTIONS, answer: str = "mine", other: str = "yours") -> Any:
    (pair,) = build_pairs(options, [make_prediction(0, answer)], {0: other})
    return pair


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A", "first"), ("B.", "second"), ("tie", "tie"), ("**B**", "second"), ("[[A]]", "first"), ("Tie!", "tie"),
        ("Answer A", "first"), ("Both are fine.\nVerdict: B\n", "second"), ("A is better than B", None),
        ("a storm", None), ("", None), ("neither", None), ("C", None),
    ],
)  # fmt: skip
def test_only_a_last_line_that_is_a_verdict_counts(reply: str, verdict: str | None) -> None:
    assert read_verdict(reply) == verdict


def test_a_pair_is_asked_in_both_orders() -> None:
    first, second = build_pair().questions
    assert "Answer A:\nmine\n\nAnswer B:\nyours" in first.prompt
    assert "Answer A:\nyours\n\nAnswer B:\nmine" in second.prompt
    assert "source 0" in first.prompt
    assert "right" in first.prompt
    assert first.key != second.key


def test_the_reference_is_not_shown_as_a_hint_if_it_is_one_of_the_answers() -> None:
    (pair,) = build_pairs(OPTIONS, [make_prediction(0, "mine")], None)
    assert pair.method_first.prompt.count("right") == 1
    assert "A correct answer" not in pair.method_first.prompt


def test_equal_answers_are_a_tie_that_nobody_is_asked() -> None:
    pair = build_pair(answer="same", other="same")
    assert pair.questions == ()
    outcome = judge_pair(pair, {})
    assert outcome is not None
    assert (outcome.score, outcome.agrees) == (0.5, True)


@pytest.mark.parametrize(
    ("verdicts", "score", "agrees"),
    [
        (("first", "second"), 1.0, True), (("second", "first"), 0.0, True), (("tie", "tie"), 0.5, True),
        (("first", "first"), 0.5, False), (("second", "second"), 0.5, False), (("first", "tie"), 0.75, False),
        ((None, "second"), 0.75, False), ((None, None), 0.5, True),
    ],
)  # fmt: skip
def test_the_score_is_the_mean_over_both_orders(verdicts: tuple[Any, Any], score: float, agrees: bool) -> None:
    pair = build_pair()
    replies = {
        question.key: Judgement(key=question.key, verdict=verdict, reply="", model="m")
        for question, verdict in zip(pair.questions, verdicts, strict=True)
    }
    outcome = judge_pair(pair, replies)
    assert outcome is not None
    assert (outcome.score, outcome.agrees) == (score, agrees)
    assert outcome.unreadable == verdicts.count(None)
    assert judge_pair(pair, dict(itertools.islice(replies.items(), 1))) is None


def test_whatever_decides_a_reply_is_part_of_the_key() -> None:
    changes: list[dict[str, Any]] = [{}, {"model": "n"}, {"parameters": {"temperature": 1}}, {"endpoint": "local"}]
    changes += [{"prompt": "{{ first }} or {{ second }}?"}]
    keys = [build_pair(OPTIONS.model_copy(update=change)).method_first.key for change in changes]
    assert len(set(keys)) == 5
    moved = OPTIONS.model_copy(update={"endpoint": "http://localhost:1234/v1"})
    assert build_pair(moved).method_first.key == keys[0]


def test_text_cannot_act_as_a_template() -> None:
    assert "{{ source }}" in build_pair(answer="{{ source }}").method_first.prompt


def test_examples_are_evenly_spaced() -> None:
    assert select_evenly(range(10), 4) == [0, 2, 5, 7]
    assert select_evenly(range(3), None) == select_evenly(range(3), 8) == [0, 1, 2]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"endpoint": "localhost:8000"}, "an endpoint is an address"),
        ({"endpoint": "https://user:secret@host/v1"}, "put the key into an environment variable"),
        ({"endpoint": "https://host/v1?key=secret"}, "put the key into an environment variable"),
        ({"prompt": "{{ first }}"}, "needs both answers"),
        ({"prompt": "{{ first }} {{ second }} {{ third }}"}, "has no 'third'"),
        ({"prompt": "{{ first }"}, "not a Jinja template"),
        ({"api_key_variable": "sk-1234"}, "should match pattern"),
    ],
)
def test_what_cannot_be_asked_or_would_store_a_key_is_refused(written: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        JudgeOptions.read({"model": "m", **written})
    assert "secret" not in str(error.value)
