"""chrF and BLEU are sacrebleu's own, sentence by sentence."""

import pytest
import sacrebleu

from tests.metrics.scores import score
from tuneoff.metrics.translation import make_bleu

PAIRS = [
    ("The cat sat on the mat.", "The cat is sitting on the mat."),
    ("Der Hund läuft schnell.", "Der Hund rennt schnell durch den Park."),
    ("x", "The cat is sitting on the mat."),
    ("The cat is sitting on the mat.", "The cat is sitting on the mat."),
]


@pytest.mark.parametrize(("prediction", "reference"), PAIRS)
def test_chrf_is_that_of_sacrebleu(prediction: str, reference: str) -> None:
    expected = sacrebleu.sentence_chrf(prediction, [reference]).score / 100
    assert score("chrf", prediction, reference) == pytest.approx(expected)


@pytest.mark.parametrize(("prediction", "reference"), PAIRS)
def test_bleu_is_that_of_sacrebleu_with_effective_order(prediction: str, reference: str) -> None:
    expected = sacrebleu.sentence_bleu(prediction, [reference], use_effective_order=True).score / 100
    assert score("bleu", prediction, reference) == pytest.approx(min(1.0, expected))


@pytest.mark.parametrize("metric", ["chrf", "bleu"])
def test_several_references_are_compared_together(metric: str) -> None:
    one, both = (
        score(metric, "a big house", "a large home"),
        score(metric, "a big house", "a large home", "a big house"),
    )
    assert one < both == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["chrf", "bleu"])
def test_an_empty_prediction_is_right_where_nothing_was_to_be_said(metric: str) -> None:
    assert (score(metric, "", "text"), score(metric, " ", "")) == (0.0, 1.0)


def test_bleu_of_characters_scores_text_without_spaces() -> None:
    by_characters = make_bleu("bleu", "characters")
    assert (
        score("bleu", "河水上涨得很快", "河水上涨得很慢")
        < 0.1
        < 0.5
        < score(by_characters, "河水上涨得很快", "河水上涨得很慢")
    )
