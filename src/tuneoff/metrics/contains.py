"""Whether a prediction contains a reference as a word or phrase of its own."""

import re

from tuneoff.metrics.exact_match import normalize
from tuneoff.metrics.per_example import make_share_metric, take_best
from tuneoff.metrics.scripts import has_spaces

# What makes another word or number of the characters beside it: `C` is not in `C++`, `5` is neither in `-5` nor `5.3`.
BEFORE, AFTER = r"(?<![\w+\-−#%$€£<>=*/&@^~])(?<!\d[.,])", r"(?![\w+#%$€£<>=*/&@^~]|[.,]\d)"


def contains(prediction: str, reference: str) -> bool:
    """Return whether the reference stands in the prediction, apart from case and white space."""
    text, sought = normalize(prediction), normalize(reference)
    if not sought:
        return not text
    if not has_spaces(sought):
        return sought in text
    return re.search(f"{BEFORE}{re.escape(sought)}{AFTER}", text) is not None


CONTAINS = make_share_metric(
    name="contains",
    title="Contains",
    meaning="Share of predictions that contain a reference as words of their own, apart from case and white space.",
    score=take_best(contains),
    reads_as=normalize,
)
