"""Text that spells a special token, such as `<|im_end|>` in a user's message, stays text.

A template is rendered with private characters in the place of such text. What spells a special token afterwards was
written by the template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FIRST = 0xF0001  # of Unicode's first supplementary private use area
ESCAPE = chr(FIRST - 1)  # stands before a private character that was in the text already


class SpecialText:
    """The texts of a tokenizer's special tokens, each with a private character."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        added = [token for token in tokenizer.added_tokens_decoder.values() if token.special and token.content]
        self.by_text = {token.content: chr(FIRST + k) for k, token in enumerate(added)}
        self._by_character = {character: text for text, character in self.by_text.items()}
        private = f"[{ESCAPE}-{chr(FIRST + len(added))}]"
        longest_first = sorted(map(re.escape, self.by_text), key=len, reverse=True)
        self._spelled = re.compile("|".join([*longest_first, private]))
        self._private = re.compile(f"{ESCAPE}(?s:.)|{private}")
        # some tokens take the white space beside them
        space = r"\s*"
        patterns = {t.content: f"{space * t.lstrip}({re.escape(t.content)}){space * t.rstrip}" for t in added}
        by_length = [patterns[text] for text in sorted(patterns, key=len, reverse=True)]
        self._written = re.compile("|".join(by_length) or r"(?!)")

    def protect(self, value: Any) -> Any:  # Any: a row or message, or a part of one
        """Replace the texts of special tokens in all strings of a value by private characters."""
        match value:
            case str():
                return self._spelled.sub(self._hide, value) if self._spelled.search(value) else value
            case Mapping():
                return {key: self.protect(part) for key, part in value.items()}
            case list() | tuple():
                return [self.protect(part) for part in value]
        return value

    def is_protected(self, text: str) -> bool:
        """Return whether a text has private characters, so that `restore` would change it."""
        return self._private.search(text) is not None

    def restore(self, text: str) -> str:
        """Put the texts of special tokens back in the place of the private characters."""
        return self._private.sub(self._show, text)

    def split(self, text: str) -> list[str]:
        """Split a rendered text at the special tokens that its template wrote.

        Returns:
            text, special token, text, ..., text: an odd number of parts.
        """
        parts, at = [], 0
        for match in self._written.finditer(text):
            parts += [text[at : match.start()], match[match.lastindex or 0]]
            at = match.end()
        return [*parts, text[at:]]

    def _hide(self, match: re.Match[str]) -> str:
        return self.by_text.get(match[0]) or ESCAPE + match[0]

    def _show(self, match: re.Match[str]) -> str:
        return match[0][1] if match[0][0] == ESCAPE else self._by_character[match[0]]
