"""From a source and a target to prompt tokens and target tokens.

The prompt has one fixed limit, `max_tokens - max_target_tokens`, however short the target is. If a prompt could use the
tokens that a short target leaves, its length would reveal the length of the target, and a prompt in training would
differ from the same prompt in generation. Only the end of the source is cut; the template stays complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuneoff.config.data import CHAT, PLACEHOLDER, TextOptions
from tuneoff.data.example import Example
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A source that exceeds its limit by this little is first tried uncut: next to the template, tokens may merge and fit.
MERGE_TOKENS = 8

Encoded = tuple[list[list[int]], list[bool]]  # the tokens of each text, and whether its end was cut


class Encoder:
    """A prompt template with a tokenizer.

    Raises:
        DataError: the tokenizer is not usable, or the template alone fills the limit.
    """

    def __init__(self, options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> None:
        self._options, self._tokenizer = options, tokenizer
        self._chat = options.prompt == CHAT
        _require_usable(tokenizer, chat=self._chat)
        self.max_prompt_tokens = options.max_tokens - options.max_target_tokens
        # some tokenizers end every text with EOS, but a prompt is not the end of a text
        first_text = self._tokenize(["a"], add_special_tokens=True)[0]
        self._removes_eos = not self._chat and first_text[-1] == tokenizer.eos_token_id
        self._template_tokens = len(self._tokenize_prompts([""])[0])
        if self._template_tokens >= self.max_prompt_tokens:
            raise DataError(
                f"max length too small for the template: it takes {self._template_tokens} tokens by itself, and a "
                f"prompt may have {self.max_prompt_tokens} (max_tokens {options.max_tokens} - max_target_tokens "
                f"{options.max_target_tokens}). Raise max_tokens, lower max_target_tokens or shorten the template."
            )

    def encode(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """Return the columns of a tokenized split: tokens (prompt, target, EOS), prompt_tokens, and what was cut."""
        prompts, sources_cut = self.encode_prompts([example.source for example in examples])
        answers, targets_cut = self.encode_targets([example.target for example in examples])
        return {
            "tokens": [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            "prompt_tokens": [len(prompt) for prompt in prompts],
            "source_cut": list(sources_cut),
            "target_cut": list(targets_cut),
        }

    def encode_prompts(self, sources: Sequence[str]) -> Encoded:
        """Tokenize the prompt of each source, with at most `max_prompt_tokens` tokens.

        A source is cut at the end of one of its tokens, and then the complete prompt is tokenized. Next to the template
        the tokens can differ, so a prompt that is still too long is cut again. A long source is tokenized only once.
        """
        source_limit = self.max_prompt_tokens - self._template_tokens
        token_ends = self._find_token_ends(sources)
        limits = [len(ends) if len(ends) <= source_limit + MERGE_TOKENS else source_limit for ends in token_ends]
        cut_sources = list(sources)
        prompts: list[list[int]] = [[]] * len(sources)
        pending = list(range(len(sources)))
        while pending:
            for i in pending:
                cut_sources[i] = _truncate(sources[i], token_ends[i], limits[i])
            for i, tokens in zip(pending, self._tokenize_prompts([cut_sources[i] for i in pending]), strict=True):
                prompts[i] = tokens
                limits[i] -= max(1, len(tokens) - self.max_prompt_tokens)
            pending = [i for i in pending if len(prompts[i]) > self.max_prompt_tokens]
        if not all(prompts):
            raise DataError("A prompt has no tokens at all. Raise max_tokens, or add words to the template.")
        return prompts, [cut != source for cut, source in zip(cut_sources, sources, strict=True)]

    def encode_targets(self, targets: Sequence[str]) -> Encoded:
        """Tokenize each target, cut so that EOS fits after it.

        Text that spells a special token is tokenized as plain text: only the EOS added here ends a target.
        """
        limit = self._options.max_target_tokens - 1
        tokens = self._tokenize(targets, add_special_tokens=False, split_special_tokens=True)
        return [[*t[:limit], self._tokenizer.eos_token_id] for t in tokens], [len(t) > limit for t in tokens]

    def _tokenize_prompts(self, sources: Sequence[str]) -> list[list[int]]:
        prompts = self._tokenize([self._fill_template(s) for s in sources], add_special_tokens=not self._chat)
        return [prompt[:-1] for prompt in prompts] if self._removes_eos else prompts

    def _fill_template(self, source: str) -> str:
        if not self._chat:
            return self._options.prompt.replace(PLACEHOLDER, source)  # not str.format: a source may contain braces
        import jinja2

        content = self._options.chat_instruction.replace(PLACEHOLDER, source)
        try:
            prompt: str = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        except jinja2.TemplateError as error:
            raise DataError(
                f"The tokenizer's chat template fails on a single user message: {error}. Use a template of your own: "
                f"prompt: '{PLACEHOLDER}\\n\\nTL;DR: '"
            ) from error
        return prompt

    def _tokenize(self, texts: Sequence[str], **options: bool) -> list[list[int]]:
        tokens: list[list[int]] = self._tokenizer(list(texts), verbose=False, **options)["input_ids"]
        return tokens

    def _find_token_ends(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text, find the character at which each of its tokens ends."""
        encoded = self._tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [[end for _, end in offsets] for offsets in encoded["offset_mapping"]]


def _truncate(text: str, token_ends: Sequence[int], tokens: int) -> str:
    if tokens >= len(token_ends):
        return text
    return text[: token_ends[tokens - 1]] if tokens > 0 else ""


def _require_usable(tokenizer: PreTrainedTokenizerBase, *, chat: bool) -> None:
    name = tokenizer.name_or_path or type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise DataError(
            f"The tokenizer {name} has no fast version, which is needed to find where each token stands in the text. "
            "Use a model with a fast tokenizer."
        )
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"The tokenizer {name} has no EOS token, which must end every target. Set one: tokenizer.eos_token = ..."
        )
    if chat and not tokenizer.chat_template:
        raise DataError(
            f"The tokenizer {name} has no chat template. Use an instruction-tuned model, or a template of your own: "
            f"prompt: '{PLACEHOLDER}\\n\\nTL;DR: '"
        )
