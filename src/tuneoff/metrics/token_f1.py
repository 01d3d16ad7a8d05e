"""The overlap of words with a short answer, as the evaluation script of SQuAD computes it.

Case, punctuation and English articles do not count, so `C` and `C++` are the same to it. Words are what stands between
white space: an answer in a script without spaces is a single word.

Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", `evaluate-v1.1.py`.
"""

import re
import string
from collections import Counter

from tuneoff.metrics.per_example import make_share_metric, take_best

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def split_words(text: str) -> tuple[str, ...]:
    """Return the words in lower case, without punctuation and articles."""
    return tuple(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def compute_f1(prediction: str, reference: str) -> float:
    """Return the F1 of the words in [0, 1]. Without any word in one of the texts, it is 1 if the other has none."""
    predicted, expected = split_words(prediction), split_words(reference)
    if not predicted or not expected:
        return float(predicted == expected)
    common = (Counter(predicted) & Counter(expected)).total()
    return 2 * common / (len(predicted) + len(expected))


F1 = make_share_metric(
    name="f1",
    title="Token F1",
    unit="F1 × 100",
    meaning="Overlap of words with the reference, without case, punctuation and articles, as for SQuAD: F1 × 100, mean "
    "over test examples.",
    score=take_best(compute_f1),
    is_all_or_nothing=False,
    reads_as=lambda text: tuple(sorted(split_words(text))),
)
