"""ROUGE scores equal those of Google's rouge-score."""

import random

import pytest

from tests.conftest import SENTENCES
from tuneoff.metrics import Answer
from tuneoff.metrics.rouge import TYPES, make_rouge
from tuneoff.metrics.scoring import score_answers


def compute_rouge(reference: str, *more: str, prediction: str) -> dict[str, float]:
    answer = Answer(prediction=prediction, references=(reference, *more))
    return score_answers(map(make_rouge, TYPES), [answer])[0].scores


def make_pairs() -> list[tuple[str, str]]:
    """Return real sentences with shuffled, truncated and joined ones, and edge cases."""
    rng = random.Random(0)
    pairs = [("", "a b"), ("a b", ""), ("...", "!"), ("Zürich naïve café", "Zurich naive cafe"), ("x\ny z\n", "y z\nx")]
    for sentence in SENTENCES * 20:
        words = sentence.split()
        rng.shuffle(words)
        other = rng.choice(SENTENCES)
        pairs.append((f"{sentence}\n{other}", f"{' '.join(words[: rng.randint(0, len(words))])}\n{other.upper()}"))
    return pairs


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_every_score_equals_that_of_googles_rouge_score() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    reference_scorer = RougeScorer(list(TYPES), use_stemmer=True)
    for reference, prediction in make_pairs():
        scores = reference_scorer.score(reference, prediction)
        assert compute_rouge(reference, prediction=prediction) == {name: scores[name].fmeasure for name in TYPES}


def test_a_perfect_prediction_scores_one() -> None:
    assert set(compute_rouge("the river rose", prediction="the river rose").values()) == {1.0}


def test_an_empty_prediction_scores_zero() -> None:
    assert set(compute_rouge("the river rose", prediction="").values()) == {0.0}


def test_of_several_references_the_best_one_counts() -> None:
    assert set(compute_rouge("a flood", "the river rose", prediction="the river rose").values()) == {1.0}


@pytest.mark.parametrize(
    ("tokenizer", "reference"),
    [("words", "Река поднялась"), ("words", "نهر طويل"), ("words", "नदी बढ़ी"), ("words", "강이 불었다"),
     ("words", "Το ποτάμι ανέβηκε"), ("characters", "河水上涨了"), ("characters", "川の水が増えた")],
)  # fmt: skip
def test_a_perfect_prediction_in_another_script_scores_one(tokenizer: str, reference: str) -> None:
    metric = make_rouge("rougeL", tokenizer)
    answers = [Answer(prediction=reference, references=(reference,)), Answer(prediction="x", references=(reference,))]
    assert [scored.scores["rougeL"] for scored in score_answers([metric], answers)] == [1.0, 0.0]
