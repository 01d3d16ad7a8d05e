"""ROUGE scores equal those of Google's rouge-score."""

import random

import pytest

from tests.conftest import SENTENCES
from tuneoff.evaluation.rouge import ROUGE_TYPES, compute_rouge


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

    reference_scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=True)
    references, predictions = zip(*make_pairs(), strict=True)
    expected = [
        {name: score.fmeasure for name, score in reference_scorer.score(reference, prediction).items()}
        for reference, prediction in zip(references, predictions, strict=True)
    ]
    assert compute_rouge(references, predictions) == expected


def test_a_perfect_prediction_scores_one() -> None:
    assert set(compute_rouge(["the river rose"], ["the river rose"])[0].values()) == {1.0}


def test_an_empty_prediction_scores_zero() -> None:
    assert set(compute_rouge(["the river rose"], [""])[0].values()) == {0.0}
