"""Exact match: whether the prediction is one of the references.

Nothing but case and white space is normalized, because a sign can be the whole difference: `C` and `C++`, `-5` and `5`.
"""

import unicodedata

from tuneoff.metrics.per_example import make_share_metric, take_best


def normalize(text: str) -> str:
    """Return the text in lower case, with composed characters and single spaces."""
    return unicodedata.normalize("NFC", " ".join(text.split())).casefold()


EXACT = make_share_metric(
    name="exact",
    title="Exact match",
    meaning="Share of predictions that equal a reference, apart from case and white space.",
    score=take_best(lambda prediction, reference: normalize(prediction) == normalize(reference)),
    reads_as=normalize,
)
EXACT_STRICT = make_share_metric(
    name="exact_strict",
    title="Exact match (strict)",
    meaning="Share of predictions that equal a reference in every character, apart from white space at both ends.",
    score=take_best(lambda prediction, reference: prediction.strip() == reference.strip()),
    reads_as=str.strip,
)
