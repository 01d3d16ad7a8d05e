"""Where a prompt ends and its answer begins, in tokens.

A model has seen the two as one text, so they are tokenized as one. For most tokenizers "TL;DR: cat" ends in a token
" cat". A prompt "TL;DR: " would end in a token for the space, after which the model has hardly ever seen a word. So
spaces at the end of a prompt belong to the answer, and line breaks do as far as the tokenizer merges them with what
follows.

The tokens of a prompt never depend on its answer, because the answer is not known when text is generated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tuneoff.data.prompt.text_tokenizer import TextTokenizer

_TAIL, _TAIL_WINDOW = 32, 200  # characters of the last words, at least and at most
_BORDER = re.compile("(?<=[a-z]) (?=[a-z])")
_ANSWERS = ("a", "A", "The", "1", "(", '"', "é", "字", "-")  # beginnings of answers that a border is tried with


@dataclass(frozen=True)
class Seam:
    """Divides texts into the tokens of the prompt and those of the answer."""

    tokenizer: TextTokenizer

    def divide(self, prompt: str) -> tuple[str, str]:
        """Divide a prompt into what is the prompt in tokens, and the white space that belongs to the answer."""
        words = prompt.rstrip()
        if not words:
            return prompt, ""
        lines = prompt[len(words) :].rpartition("\n")
        space = lines[0] + lines[1]
        kept = _count_kept(self.tokenizer, words[-1:], space) if space else 0
        border = len(words) + kept
        return prompt[:border], prompt[border:]

    def encode_answers(
        self, prompts: Sequence[str], prompt_tokens: Sequence[Sequence[int]], answers: Sequence[str]
    ) -> tuple[list[list[int]], list[bool]]:
        """Tokenize answers behind their prompts.

        Where the tokenizer merges the end of the prompt with the beginning of the answer, as no template can prevent
        for answers that begin with white space, the answer is tokenized by itself.

        Args:
            prompts: as `divide` returns them.
            prompt_tokens: their tokens.
            answers: with the white space of `divide`.

        Returns:
            The tokens of each answer, and whether they follow the prompt as in one text.
        """
        found = self._encode_behind_tails(prompts, prompt_tokens, answers)
        rest = [k for k, row in enumerate(found) if row is None]
        joint = self.tokenizer.encode([prompts[k] + answers[k] for k in rest]) if rest else []
        for k, row in zip(rest, joint, strict=True):
            start = prompt_tokens[k]
            found[k] = row[len(start) :] if row[: len(start)] == list(start) else None
        is_whole = [row is not None for row in found]
        rows = [
            self.tokenizer.encode_continuation(answer) if row is None else row
            for row, answer in zip(found, answers, strict=True)
        ]
        return rows, is_whole

    def _encode_behind_tails(
        self, prompts: Sequence[str], prompt_tokens: Sequence[Sequence[int]], answers: Sequence[str]
    ) -> list[list[int] | None]:
        """Tokenize answers behind the last words of their prompts, which takes half of the time of whole texts.

        Returns:
            None where that is not sure to give the tokens of the whole text: the tokenizer does not split texts into
            words first, or the last words have other tokens in the prompt.
        """
        found: list[list[int] | None] = [None] * len(prompts)
        starts = [_find_last_words(prompt) if self.tokenizer.splits_words else None for prompt in prompts]
        usable = [
            (k, prompts[k][start:])
            for k, start in enumerate(starts)
            if start is not None and not self.tokenizer.special.is_protected(prompts[k][start:] + answers[k])
        ]
        if not usable:
            return found
        tails = self.tokenizer.encode_within([tail for _, tail in usable])
        joint = self.tokenizer.encode_within([tail + answers[k] for k, tail in usable])
        for (k, _), tail, row in zip(usable, tails, joint, strict=True):
            if list(prompt_tokens[k][-len(tail) :]) == tail and row[: len(tail)] == tail:
                found[k] = row[len(tail) :]
        return found


def _find_last_words(prompt: str) -> int | None:
    """Return where the last words of a prompt begin: at a space between two letters, where a tokenizer splits."""
    window = max(0, len(prompt) - _TAIL_WINDOW)
    borders = [match.start() for match in _BORDER.finditer(prompt, window, max(window, len(prompt) - _TAIL))]
    return borders[-1] if borders else None


@lru_cache(maxsize=4096)
def _count_kept(tokenizer: TextTokenizer, before: str, space: str) -> int:
    """Return how many characters of the line breaks keep their tokens, whatever word comes after them."""
    for kept in range(len(space), 0, -1):
        (start,) = tokenizer.encode([before + space[:kept]])
        rows = tokenizer.encode([before + space + answer for answer in _ANSWERS])
        if all(row[: len(start)] == start for row in rows):
            return kept
    return 0
