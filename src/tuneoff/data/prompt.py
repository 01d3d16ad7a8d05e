"""From a source and a target to prompt tokens and target tokens.

The prompt is cut to one fixed limit, `max_tokens - max_target_tokens`, however short the target is: if it could use the
room that a short target leaves, its length would tell the model how long the answer is, and a prompt in training would
differ from the same prompt in generation. Only the source is cut, at its end; the words of the template stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuneoff.config.data import CHAT, PLACEHOLDER, TextOptions
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SEAM_TOKENS = 8  # a source that is so little too long is tried whole: at the seam tokens may merge and make room

Encoded = tuple[list[list[int]], list[bool]]  # the tokens of each text, and whether any were cut


class Encoder:
    """One template with one tokenizer.

    Raises:
        DataError: the tokenizer lacks what is needed, or the template alone fills the limit.
    """

    def __init__(self, options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> None:
        self._options, self._tokenizer = options, tokenizer
        self._chat = options.prompt == CHAT
        _require(tokenizer, chat=self._chat)
        self.max_prompt_tokens = options.max_tokens - options.max_target_tokens
        # some tokenizers close a text with EOS; a prompt is not the end of one
        self._closes = not self._chat and self._ids(["a"], add_special_tokens=True)[0][-1] == tokenizer.eos_token_id
        self._template_tokens = len(self._prompt_ids([""])[0])
        if self._template_tokens >= self.max_prompt_tokens:
            raise DataError(
                f"max length too small for the template: it takes {self._template_tokens} tokens by itself, and a "
                f"prompt may have {self.max_prompt_tokens} (max_tokens {options.max_tokens} - max_target_tokens "
                f"{options.max_target_tokens}). Raise max_tokens, lower max_target_tokens or shorten the template."
            )

    def columns(self, sources: Sequence[str], targets: Sequence[str]) -> dict[str, list[object]]:
        """What an example is to training: tokens (prompt, target, EOS), where the target starts, and what was cut."""
        prompts, sources_cut = self.prompts(sources)
        answers, targets_cut = self.targets(targets)
        return {
            "tokens": [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            "prompt_tokens": [len(prompt) for prompt in prompts],
            "source_cut": list(sources_cut),
            "target_cut": list(targets_cut),
        }

    def prompts(self, sources: Sequence[str]) -> Encoded:
        """The prompt of each source, never longer than `max_prompt_tokens`.

        A source is cut between two of its tokens and the whole prompt tokenised after it: at the seam with the template
        other tokens may arise, so a prompt that is still too long loses some more. A long source is read only once.
        """
        fits = self.max_prompt_tokens - self._template_tokens
        ends = self._token_ends(sources)
        room = [len(end) if len(end) <= fits + SEAM_TOKENS else fits for end in ends]
        kept = list(sources)
        tokens: list[list[int]] = [[]] * len(sources)
        pending = list(range(len(sources)))
        while pending:
            for i in pending:
                kept[i] = _truncate(sources[i], ends[i], room[i])
            for i, ids in zip(pending, self._prompt_ids([kept[i] for i in pending]), strict=True):
                tokens[i] = ids
                room[i] -= max(1, len(ids) - self.max_prompt_tokens)
            pending = [i for i in pending if len(tokens[i]) > self.max_prompt_tokens]
        if not all(tokens):
            raise DataError("A prompt has no tokens at all. Raise max_tokens, or add words to the template.")
        return tokens, [short != source for short, source in zip(kept, sources, strict=True)]

    def targets(self, targets: Sequence[str]) -> Encoded:
        """The target of each example, EOS last, also where the target had to be cut to make room for it.

        A target that spells a special token is read as plain letters: only the EOS that we add ends an answer.
        """
        words = self._options.max_target_tokens - 1
        ids = self._ids(targets, add_special_tokens=False, split_special_tokens=True)
        return [[*t[:words], self._tokenizer.eos_token_id] for t in ids], [len(t) > words for t in ids]

    def _prompt_ids(self, sources: Sequence[str]) -> list[list[int]]:
        ids = self._ids([self._prompt(source) for source in sources], add_special_tokens=not self._chat)
        return [prompt[:-1] for prompt in ids] if self._closes else ids

    def _prompt(self, source: str) -> str:
        if not self._chat:
            return self._options.prompt.replace(PLACEHOLDER, source)  # not str.format: a source may hold braces
        import jinja2

        content = self._options.chat_instruction.replace(PLACEHOLDER, source)
        try:
            prompt: str = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        except jinja2.TemplateError as error:
            raise DataError(
                f"The tokenizer's chat template fails on one message of a user: {error}. Use a template of your own: "
                f"prompt: '{PLACEHOLDER}\\n\\nTL;DR: '"
            ) from error
        return prompt

    def _ids(self, texts: Sequence[str], **how: bool) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(list(texts), verbose=False, **how)["input_ids"]
        return ids

    def _token_ends(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text, the character at which each of its tokens ends."""
        encoded = self._tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [[end for _, end in offsets] for offsets in encoded["offset_mapping"]]


def _truncate(text: str, ends: Sequence[int], tokens: int) -> str:
    if tokens >= len(ends):
        return text
    return text[: ends[tokens - 1]] if tokens > 0 else ""


def _require(tokenizer: PreTrainedTokenizerBase, *, chat: bool) -> None:
    name = tokenizer.name_or_path or type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise DataError(f"The tokenizer {name} has no fast version, which tells where in the text a token stands.")
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"The tokenizer {name} has no EOS token, without which no answer ends. Set one: tokenizer.eos_token = ..."
        )
    if chat and not tokenizer.chat_template:
        raise DataError(
            f"The tokenizer {name} has no chat template. Use an instruction-tuned model, or a template of your own: "
            f"prompt: '{PLACEHOLDER}\\n\\nTL;DR: '"
        )
