"""ROUGE as in Google's rouge-score, computed by rouge-score-rs with stemming and the default tokenizer.

ROUGE-Lsum takes each line as a sentence. The tokenizer keeps only Latin letters and digits, so text in other scripts
scores zero.
"""

from collections.abc import Mapping, Sequence

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def compute_rouge(references: Sequence[str], predictions: Sequence[str]) -> list[Mapping[str, float]]:
    """Return the F1 in [0, 1] of each pair, by type."""
    from rouge_score_rs import RougeScorer

    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=True)
    pairs = zip(references, predictions, strict=True)
    scores = [scorer.score(reference, prediction) for reference, prediction in pairs]
    return [{name: score[name].fmeasure for name in ROUGE_TYPES} for score in scores]
