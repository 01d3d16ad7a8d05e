"""chrF and BLEU of each sentence, computed by sacrebleu. Both take several references together.

Their means over examples differ from scores of a whole corpus, which have no
value for one example.

Sources: Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; Post 2018, "A Call for Clarity in
Reporting BLEU Scores".
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tuneoff.config.metrics import Tokenizer
from tuneoff.metrics.metric import Answer, Metric
from tuneoff.metrics.per_example import make_share_metric


def _score_one(scorer: Any, answer: Answer) -> float:  # Any: sacrebleu's classes of scorers share no useful type
    if not answer.prediction.strip():  # an empty text has no n-grams to compare
        return float(any(not reference.strip() for reference in answer.references))
    score = float(scorer.sentence_score(answer.prediction, list(answer.references)).score)
    return min(1.0, score / 100)


@cache
def _make_chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@cache
def _make_bleu(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True, tokenize=tokenizer)


CHRF = make_share_metric(
    name="chrf",
    title="chrF",
    unit="chrF2",
    meaning="Overlap of character sequences with the reference: chrF2 of each example, mean over test examples.",
    score=lambda answer: _score_one(_make_chrf(), answer),
    margin=0.5,
    is_all_or_nothing=False,
    reads_as=lambda text: "".join(text.split()),
)


def make_bleu(name: str, tokenizer: Tokenizer = "english") -> Metric:
    """Return BLEU with a tokenizer."""
    of_sacrebleu = "char" if tokenizer == "characters" else "13a"
    return make_share_metric(
        name=name,
        title="Sentence BLEU (characters)" if tokenizer == "characters" else "Sentence BLEU",
        unit="BLEU",
        meaning=f"Overlap of word sequences with the reference: BLEU of each example (tokenizer: {of_sacrebleu}), mean "
        "over test examples.",
        score=lambda answer: _score_one(_make_bleu(of_sacrebleu), answer),
        margin=0.5,
        is_all_or_nothing=False,
    )


BLEU = make_bleu("bleu")
