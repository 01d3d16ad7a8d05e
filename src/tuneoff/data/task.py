"""What the examples are about, told from a sample of them. It decides the default metrics and the default prompt.

The kinds are tried from the most to the least specific. A recipe that knows better says so with `data.task`.
"""

from __future__ import annotations

import ast
import json
import random
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from statistics import median

from tuneoff.config.data import Task
from tuneoff.data.example import Example
from tuneoff.data.languages import find_language, find_scripts

SAMPLE = 500  # examples, drawn at random: labels may alternate
MOST = 0.95  # share of the targets that must be of a kind, since real data have exceptions
MOST_CODE = 0.8  # comments alone, or a single name, do not look like code
MOST_LABELS, LABEL_CHARACTERS, ROWS_OF_LABEL = 50, 60, 3  # labels are few, short and repeated
MOST_NUMERIC_LABELS = 5  # of numbers: 0 and 1, or stars from 1 to 5
ANSWER_WORDS, LONGEST_ANSWER_WORDS = 5, 15
TRANSLATION_RATIOS = (0.15, 6.0)  # characters of target and source, between the densest and the longest scripts

_NUMBER = re.compile(r"[$€£]?\s*[-+−]?[\d,]*\.?\d+(?:[eE][-+]?\d+)?\s*%?")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)  # Thai to Chinese
_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|return|import|from .* import|if|for|while|func|fn|let|const|var|public|private|static"
    r"|#include|SELECT|INSERT|UPDATE|CREATE|WITH)\b.*[(:;{=]|^\s*[\w.\[\]]+\s*[-+*/]?=\s*\S|^\s*[\w.]+\(.*\)\s*$|=>|\bFROM\b"
)


def recognize_task(examples: Sequence[Example]) -> Task:
    """Return what the examples are about."""
    sample = random.Random(0).sample(examples, min(SAMPLE, len(examples)))
    if any(example.messages for example in sample):
        return "chat"
    if not any(example.source for example in sample):
        return "text"
    targets = [target for example in sample if (target := example.target.strip())]
    recognizers: dict[Task, Callable[[], bool]] = {
        "labels": lambda: _are_labels(targets),
        "numbers": lambda: _share(targets, _is_number) >= MOST,
        "json": lambda: _share(targets, _is_json) >= MOST,
        "translation": lambda: _are_translations(sample),
        "code": lambda: _share(targets, _is_code) >= MOST_CODE,
        "answers": lambda: _are_answers(targets),
    }
    return next((task for task, fits in recognizers.items() if targets and fits()), "prose")


def _share(texts: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, texts)) / len(texts)


def _are_labels(targets: Sequence[str]) -> bool:
    distinct = set(targets)
    if _share(targets, _is_json) >= MOST:
        return False  # even if only few objects occur
    if _share(targets, _is_number) >= MOST and len(distinct) > MOST_NUMERIC_LABELS:
        return False
    return (
        2 <= len(distinct) <= MOST_LABELS
        and len(targets) >= ROWS_OF_LABEL * len(distinct)
        and max(map(len, distinct)) <= LABEL_CHARACTERS
        and not any("\n" in label for label in distinct)
    )


def _are_answers(targets: Sequence[str]) -> bool:
    words = sorted(map(_count_words, targets))
    return median(words) <= ANSWER_WORDS and words[int(0.9 * (len(words) - 1))] <= LONGEST_ANSWER_WORDS


def _count_words(text: str) -> float:
    """Return how many words a text has, taking two characters for a word in scripts without spaces."""
    unspaced = _UNSPACED.findall(text)
    return len(_UNSPACED.sub(" ", text).split()) + len(unspaced) / 2


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.replace(" ", " ").strip()) is not None


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_code(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return _is_python(text) or sum(bool(_CODE_LINE.search(line)) for line in lines) >= 0.5 * len(lines)


def _is_python(text: str) -> bool:
    """Return whether a text parses as Python with more than names and constants in it: "yes" and "a, b" do parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text that is no code may have odd escapes
            tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    plain = ast.Name | ast.Constant | ast.Tuple | ast.UnaryOp | ast.Compare | ast.BinOp | ast.BoolOp
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, plain)) for node in tree.body)


def _are_translations(examples: Sequence[Example]) -> bool:
    """Return whether sources and targets are about as long, and in different languages."""
    pairs = [(e.source, e.target) for e in examples if e.source.strip() and e.target.strip()]
    low, high = TRANSLATION_RATIOS
    if _share_of_pairs(pairs, lambda source, target: low <= len(target) / len(source) <= high) < MOST_CODE:
        return False
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    scripts = [next(iter(find_scripts(texts)), None) for texts in (sources, targets)]
    if None not in scripts and scripts[0] != scripts[1]:
        return True
    languages = [find_language(texts) for texts in (sources, targets)]
    return None not in languages and languages[0] != languages[1]


def _share_of_pairs(pairs: Sequence[tuple[str, str]], holds: Callable[[str, str], bool]) -> float:
    return sum(holds(source, target) for source, target in pairs) / len(pairs) if pairs else 0.0
