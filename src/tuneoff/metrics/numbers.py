"""Numeric match: whether the final number of the prediction is that of a reference, however it is written."""

from __future__ import annotations

import re
from fractions import Fraction

from tuneoff.errors import MetricError
from tuneoff.metrics.exact_match import normalize
from tuneoff.metrics.metric import Answer
from tuneoff.metrics.per_example import make_share_metric, take_best

MARKERS = ("####", "\\boxed{")  # after which GSM8K and MATH write the final answer
PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
NUMBER = re.compile(rf"[+-]?(?:{PLAIN})(?:e[+-]?\d+)?(?:\s*/\s*(?:{PLAIN}))?\s*%?", re.IGNORECASE)
NUMERIC = re.compile(r"(?<![\w.])[+-]?[\d.,]*\d(?:e[+-]?\d+)?[\w.,]*(?:\s*/\s*[\d.,]*\d)?(?:\s*%)?", re.IGNORECASE)
LARGEST_EXPONENT = 400  # more would fill the memory


def find_number(text: str) -> tuple[Fraction, str] | None:
    """Return the final number of a text with its unit, `%` or none; None if there is none, or it cannot be read.

    The final number is the first one after a marker of the final answer, and else the last one.
    """
    text = text.replace("−", "-").replace("\u2009", "").replace("\\%", "%").replace("$", "")
    marker = max(MARKERS, key=text.rfind)
    if marker in text:
        found = NUMERIC.search(text, text.rfind(marker) + len(marker))
        return _read_number(found[0]) if found else None
    candidates = NUMERIC.findall(text)
    return _read_number(candidates[-1]) if candidates else None


def match_numbers(prediction: str, reference: str) -> bool:
    """Return whether both texts have the same final number. A reference without a number must be matched as text."""
    expected = find_number(reference)
    if expected is None:
        return normalize(prediction) == normalize(reference)
    return find_number(prediction) == expected


def _read_number(text: str) -> tuple[Fraction, str] | None:
    text = text.strip().rstrip(".,")
    if not NUMBER.fullmatch(text):
        return None
    unit = "%" if text.endswith("%") else ""
    numerator, _, denominator = text.rstrip("% ").replace(",", "").replace(" ", "").partition("/")
    exponent = numerator.lower().partition("e")[2]
    if exponent and abs(int(exponent)) > LARGEST_EXPONENT:
        return None
    try:
        return Fraction(numerator) / Fraction(denominator or "1"), unit
    except (ZeroDivisionError, ValueError):  # Python reads no number of more than 4,300 digits
        return None


def _verify(prediction: str, reference: str) -> bool:
    try:
        from math_verify import parse, verify
    except ImportError as error:
        raise MetricError("The metric math needs the package math-verify: pip install 'tuneoff[math]'.") from error
    # without time limits, which are signals that only the main thread may set
    expected, found = (parse(text, parsing_timeout=None) for text in (reference, prediction))
    if not expected:
        return normalize(prediction) == normalize(reference)
    return bool(verify(expected, found, timeout_seconds=None))


def _describe_number(text: str) -> object:
    return find_number(text) or normalize(text)


NUMBER_MATCH = make_share_metric(
    name="number",
    title="Numeric match",
    meaning="Share of predictions whose final number is that of the reference. 1,000 and 1e3 are equal, 10 and 10 % "
    "are not.",
    score=take_best(match_numbers),
    reads_as=_describe_number,
)


def _score_math(answer: Answer) -> float:
    return float(any(_verify(answer.prediction, reference) for reference in answer.references))


MATH = make_share_metric(
    name="math",
    title="Mathematical match",
    meaning="Share of predictions whose final expression equals that of the reference, by math-verify.",
    score=_score_math,
)
