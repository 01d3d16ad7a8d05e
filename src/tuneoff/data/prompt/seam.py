"""Where a prompt ends and its answer begins, in tokens.

A model has seen the two as one text, so they are tokenized as one. For most tokenizers "TL;DR: cat" ends in a token
" cat". A prompt "TL;DR: " would end in a token for the space, after which the model has hardly ever seen a word. So
spaces at the end of a prompt belong to the answer, and line breaks do as far as the tokenizer merges them with what
follows.

The tokens of a prompt never depend on its answer, because the answer is not known when text is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tuneoff.data.prompt.text_tokenizer import TextTokenizer

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
        joint = self.tokenizer.encode([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
        is_whole = [row[: len(start)] == list(start) for row, start in zip(joint, prompt_tokens, strict=True)]
        rows = [
            row[len(start) :] if fits else self.tokenizer.encode_continuation(answer)
            for row, start, answer, fits in zip(joint, prompt_tokens, answers, is_whole, strict=True)
        ]
        return rows, is_whole


@lru_cache(maxsize=4096)
def _count_kept(tokenizer: TextTokenizer, before: str, space: str) -> int:
    """Return how many characters of the line breaks keep their tokens, whatever word comes after them."""
    for kept in range(len(space), 0, -1):
        (start,) = tokenizer.encode([before + space[:kept]])
        rows = tokenizer.encode([before + space + answer for answer in _ANSWERS])
        if all(row[: len(start)] == start for row in rows):
            return kept
    return 0
