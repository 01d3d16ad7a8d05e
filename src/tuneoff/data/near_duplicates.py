"""Near duplicates: texts that share most of their word sequences with another text.

MinHash finds the candidates, and the sequences themselves decide. Source: Broder 1997, "On the resemblance and
containment of documents"; the library is datasketch.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasketch import MinHash

LENGTH = 3  # words, or characters of a script without spaces, in a sequence
THRESHOLD = 0.7  # shared share of the sequences of both texts from which they are near duplicates
PERMUTATIONS = 64
CANDIDATES_FROM = 0.55  # lower than the threshold, because MinHash estimates
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]|[^\W_]+|[^\w\s]")


class NearDuplicates:
    """An index of texts, which finds whether another text is nearly one of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        from datasketch import MinHashLSH

        self._texts = list(dict.fromkeys(texts))
        self._index = MinHashLSH(threshold=CANDIDATES_FROM, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
        for number, text in enumerate(self._texts):
            if sequences := _list_sequences(text):
                self._index.insert(number, _sketch(sequences))

    def has_near(self, text: str) -> bool:
        """Return whether the text is equal or nearly equal to one of the index."""
        sequences = _list_sequences(text)
        if not sequences:
            return False
        candidates = (_list_sequences(self._texts[number]) for number in self._index.query(_sketch(sequences)))
        return any(len(sequences & other) >= THRESHOLD * len(sequences | other) for other in candidates)


def _list_sequences(text: str) -> set[bytes]:
    """Return the different sequences of words; all words as one sequence if there are too few."""
    words = _WORD.findall(text.casefold())
    if not words:
        return set()
    count = max(1, len(words) - LENGTH + 1)
    return {" ".join(words[start : start + LENGTH]).encode() for start in range(count)}


def _sketch(sequences: set[bytes]) -> MinHash:
    sketch = _make_empty_sketch().copy()
    sketch.update_batch(list(sequences))
    return sketch


@cache
def _make_empty_sketch() -> MinHash:
    """Draw the permutations once: that takes as long as the rest. SHA-1, the default, takes three times as long."""
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
