"""Our ROUGE is Google's."""

import random

import pytest

from tests.conftest import SENTENCES
from tuneoff.evaluation.rouge import ROUGE_TYPES, compute_rouge


def pairs() -> list[tuple[str, str]]:
    """Real sentences against shuffled, cut, joined and odd ones."""
    chance = random.Random(0)
    made = [("", "a b"), ("a b", ""), ("...", "!"), ("Zürich naïve café", "Zurich naive cafe"), ("x\ny z\n", "y z\nx")]
    for sentence in SENTENCES * 20:
        words = sentence.split()
        chance.shuffle(words)
        other = chance.choice(SENTENCES)
        made.append((f"{sentence}\n{other}", f"{' '.join(words[: chance.randint(0, len(words))])}\n{other.upper()}"))
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_every_score_is_the_one_of_googles_rouge_score() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    oracle = RougeScorer(list(ROUGE_TYPES), use_stemmer=True)
    references, predictions = zip(*pairs(), strict=True)
    expected = [
        {name: score.fmeasure for name, score in oracle.score(reference, prediction).items()}
        for reference, prediction in zip(references, predictions, strict=True)
    ]
    assert compute_rouge(references, predictions) == expected


def test_a_perfect_prediction_scores_one() -> None:
    assert set(compute_rouge(["the river rose"], ["the river rose"])[0].values()) == {1.0}


def test_an_empty_prediction_scores_zero() -> None:
    assert set(compute_rouge(["the river rose"], [""])[0].values()) == {0.0}
