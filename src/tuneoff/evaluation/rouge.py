"""ROUGE, as Google's rouge-score computes it, by rouge-score-rs. Stemming is on, the tokenizer is the default one.

Sentences of ROUGE-Lsum are lines. Text in a script without Latin letters scores zero under this tokenizer.
"""

from collections.abc import Mapping, Sequence

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def compute_rouge(references: Sequence[str], predictions: Sequence[str]) -> list[Mapping[str, float]]:
    """F1 in [0, 1] of each pair, by type."""
    from rouge_score_rs import RougeScorer

    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=True)
    pairs = zip(references, predictions, strict=True)
    scored = [scorer.score(reference, prediction) for reference, prediction in pairs]
    return [{name: scores[name].fmeasure for name in ROUGE_TYPES} for scores in scored]
