"""How much a tokenizer may make of a short text, in time and in length, found before it reads any data.

A tokenizer is a file with regular expressions and replacements. Its library cannot be interrupted, and ends the program
where an expression backtracks without end.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuneoff.errors import ModelError

MOST_GROWTH = 10_000  # characters that a normalizer makes of one
LONGEST_SECONDS = 5.0  # for texts of a few dozen characters
REPEATS = 48
ATTACK = """
import json, sys
from tokenizers import Regex, pre_tokenizers
pattern, texts = json.load(sys.stdin)
split = pre_tokenizers.Split(Regex(pattern), "isolated")
print(flush=True)
for text in texts:
    split.pre_tokenize_str(text)
"""


def require_quick_tokenizer(folder: Path, name: str) -> None:
    """Refuse a tokenizer whose expressions do not end, or whose replacements grow a text without bound.

    Raises:
        ModelError: with the expression or the growth.
    """
    try:
        tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # another kind of tokenizer, or one that cannot be loaded either
    if not isinstance(tokenizer, dict):
        return
    growth = _compute_growth(tokenizer.get("normalizer"))
    if growth > MOST_GROWTH:
        raise ModelError(
            f"The normalizer of {name}'s tokenizer makes {growth:,.3g} characters of one, and {MOST_GROWTH:,} is the "
            "limit here. Download the tokenizer again, or name another model."
        )
    for pattern in dict.fromkeys(_list_patterns(tokenizer)):
        if may_backtrack_without_end(pattern) and not _ends_in_time(pattern):
            raise ModelError(
                f"The tokenizer of {name} has a regular expression that does not end on short texts within "
                f"{LONGEST_SECONDS:g} seconds: {pattern[:200]!r}. Name another model, or mend tokenizer.json."
            )


def may_backtrack_without_end(pattern: str) -> bool:
    """Return whether a choice is repeated without bound, as in `(a+)+` or `(a|ab)*`.

    Without that, the time grows with a small power of a text's length. With it, it may double with each character.
    """
    has_choice = [False]  # for each open group, the outermost first
    i = 0
    while i < len(pattern):
        character = pattern[i]
        if character == "\\":
            i += 1
        elif character == "[":
            i = _find_class_end(pattern, i)
        elif character == "(":
            has_choice.append(False)
            i += pattern[i + 1 : i + 2] == "?"  # the mark of a kind of group
        elif character == ")" and len(has_choice) > 1:
            if has_choice.pop():
                if _is_unbounded(pattern, i + 1):
                    return True
                has_choice[-1] = True
        elif character in "|?" or _is_unbounded(pattern, i):
            has_choice[-1] = True
        i += 1
    return False


def _find_class_end(pattern: str, start: int) -> int:
    """Return the index of the bracket that ends a class of characters, which may have classes inside."""
    depth, i = 1, start + 1
    if pattern[i : i + 1] == "^":
        i += 1
    if pattern[i : i + 1] == "]":
        i += 1
    while i < len(pattern) and depth:
        if pattern[i] == "\\":
            i += 1
        elif pattern[i] == "[":
            depth += 1
        elif pattern[i] == "]":
            depth -= 1
        i += 1
    return i - 1


def _is_unbounded(pattern: str, i: int) -> bool:
    """Return whether a repetition without an upper bound stands at `i`. One that never backtracks, `++`, is none."""
    if pattern[i : i + 1] in {"*", "+"}:
        return pattern[i + 1 : i + 2] != "+"
    if pattern[i : i + 1] != "{":
        return False
    bounds = pattern[i + 1 : pattern.find("}", i)].split(",")
    return len(bounds) == 2 and not bounds[1].strip() and bounds[0].strip().isdigit()


def _ends_in_time(pattern: str) -> bool:
    """Try the expression on texts that almost match, in a process that can be ended."""
    characters = [*dict.fromkeys(c for c in pattern if c.isalnum()), "a", "A", "1", " ", "\n", "é", ".", "-"]
    texts = [repeated * REPEATS + "\0" for repeated in dict.fromkeys([*characters[:40], "ab", "a ", "a1"])]
    task = json.dumps([pattern, texts])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", ATTACK], input=task, text=True, capture_output=True,
            timeout=LONGEST_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as expired:
        return not expired.stdout  # without output it had not begun: the machine is busy
    return "retry-limit" not in done.stderr  # Oniguruma gives up after ten million steps, and its caller panics


def _list_patterns(value: Any) -> Iterator[str]:  # Any: JSON
    """Yield every regular expression of a tokenizer, wherever it stands."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key == "Regex" and isinstance(part, str):
                yield part
            elif key not in {"vocab", "merges", "added_tokens"}:
                yield from _list_patterns(part)
    elif isinstance(value, list):
        for part in value:
            yield from _list_patterns(part)


def _compute_growth(normalizer: Any) -> float:  # Any: JSON
    """Return into how many characters a normalizer may turn one, over all its steps."""
    if not isinstance(normalizer, Mapping):
        return 1.0
    if normalizer.get("type") == "Sequence":
        parts = normalizer.get("normalizers")
        return math.prod(map(_compute_growth, parts)) if isinstance(parts, list) else 1.0
    inserted = normalizer.get("content") or normalizer.get("prepend")
    return float(max(1, len(inserted))) if isinstance(inserted, str) else 1.0
