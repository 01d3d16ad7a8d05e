"""ROUGE as in Google's rouge-score, computed by rouge-score-rs.

The score of an example is the best one over its references. ROUGE-Lsum takes each line as a sentence.

Google's tokenizer keeps Latin letters without accents and digits, and stems words as English. Text in other scripts
has no tokens for it, so a perfect prediction scores zero. For such text there are words by the rules of Unicode, and
characters for scripts without spaces, both without stemming.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"; Unicode Standard Annex 29 for words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tuneoff.config.metrics import Tokenizer
from tuneoff.metrics.metric import Answer, Metric, Scores, TypicalNoise
from tuneoff.metrics.percent import make_percent_metric

TYPES = {
    "rougeL": ("ROUGE-L", "Longest common subsequence of {tokens} with the reference"),
    "rouge1": ("ROUGE-1", "Overlap of single {tokens} with the reference"),
    "rouge2": ("ROUGE-2", "Overlap of pairs of {tokens} with the reference"),
    "rougeLsum": ("ROUGE-Lsum", "ROUGE-L computed line by line, for summaries of several lines"),
}
TOKENS = {"english": "words", "words": "Unicode words", "characters": "characters"}  # what the tokenizers make


def make_rouge(name: str, tokenizer: Tokenizer = "english") -> Metric:
    """Return one type of ROUGE with a tokenizer."""
    title, meaning = TYPES[name]
    tokens = TOKENS[tokenizer]
    is_english = tokenizer == "english"
    return make_percent_metric(
        name=name,
        title=title if is_english else f"{title} ({tokens})",
        unit="F1 × 100",
        meaning=f"{meaning.format(tokens=tokens)}{_describe(tokenizer)}: F1 × 100, mean over test examples.",
        margin=lambda options: options.margin_rouge,
        score=partial(_score, name, tokenizer),
        reads_as=lambda text: tuple(tokenize(text, tokenizer)),
        noise=TypicalNoise(seed_sd=1.2, example_sd=10, base_sd=7.2),  # ROUGE-L of the recipe fair: docs/how-to/plan.md
    )


def tokenize(text: str, tokenizer: Tokenizer) -> list[str]:
    """Return the tokens of a text that ROUGE compares."""
    tokens: list[str] = _make_tokenizer(tokenizer).tokenize(text)
    return tokens


def _describe(tokenizer: Tokenizer) -> str:
    return "" if tokenizer == "english" else f" (tokenizer: {tokenizer}, without stemming)"


def _score(name: str, tokenizer: Tokenizer, answers: Sequence[Answer]) -> Scores:
    from rouge_score_rs import RougeScorer

    scorer = RougeScorer([name], tokenizer=_make_tokenizer(tokenizer))
    return Scores(
        values=[scorer.score_multi(answer.references, answer.prediction)[name].fmeasure for answer in answers]
    )


def _make_tokenizer(tokenizer: Tokenizer) -> Any:  # Any: rouge-score-rs ships no types
    from rouge_score_rs.tokenizers import CharacterTokenizer, DefaultTokenizer, UnicodeTokenizer

    if tokenizer == "english":
        return DefaultTokenizer(use_stemmer=True)
    return UnicodeTokenizer() if tokenizer == "words" else CharacterTokenizer()


ROUGE_L, ROUGE_1, ROUGE_2, ROUGE_LSUM = (make_rouge(name) for name in TYPES)
