"""From examples to prompt tokens and answer tokens.

A prompt has one fixed limit, `max_tokens - max_target_tokens`, however short the answer is. If a prompt could use the
tokens that a short answer leaves, its length would reveal the length of the answer, and a prompt in training would
differ from the same prompt in generation.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tuneoff.config.data import CHAT, TextOptions
from tuneoff.config.template import read_template
from tuneoff.data.example import Example
from tuneoff.data.prompt.chat_answers import ChatAnswers, find_answers
from tuneoff.data.prompt.chat_template import ChatTemplate, get_day
from tuneoff.data.prompt.defaults import SUMMARIZE, TEXT_PROMPT, complete_options
from tuneoff.data.prompt.documents import cut_documents, encode_document
from tuneoff.data.prompt.drafts import ChatPrompts, Draft, RowPrompts, write_fitting
from tuneoff.data.prompt.requirements import require_fitting, require_hidden, require_usable
from tuneoff.data.prompt.seam import Seam
from tuneoff.data.prompt.text_tokenizer import TextTokenizer
from tuneoff.data.rows import Rows
from tuneoff.data.shapes.recognize import Answers, ChosenShape, list_answers
from tuneoff.errors import DataError, suggest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


def require_prompts(encoder: Encoder, rows: Rows, shape: ChosenShape) -> None:
    """Refuse prompts that do not fit the rows of train.

    Raises:
        DataError: a prompt uses what is no column or shows an answer, or an option of the recipe changes no prompt.
    """
    encoder.require_columns(rows.columns, rows.place, list_answers(rows, shape))
    encoder.require_effect(has_chats=shape.has_chats)


class Encoder:
    """The prompts of a recipe with a tokenizer.

    Args:
        options: completed by `complete_options`; otherwise the task is prose. The task "text" has no prompts.

    Raises:
        DataError: the tokenizer is not usable, an option has no effect, or the template alone fills the limit.
    """

    def __init__(self, options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> None:
        self.options = complete_options(options, tokenizer, options.task or "prose")
        self.tokenizer = tokenizer
        self.max_prompt_tokens = options.max_tokens - options.max_target_tokens
        is_chat = self.options.prompt == CHAT
        require_usable(tokenizer, chat=is_chat)
        self.is_text = self.options.task == "text"
        self._ends_in_colon = str(self.options.prompt).endswith(":")
        self._tokenizer = TextTokenizer(tokenizer)
        self._seam = Seam(self._tokenizer)
        self._chat = self._make_chat() if is_chat else None
        end = self._chat.find_turn_end(self._tokenizer.special) if self._chat else None
        self._turn_end = end
        self._end_id: int = tokenizer.eos_token_id if end is None else tokenizer.convert_tokens_to_ids(end)
        self.ends: tuple[int, ...] = (self._end_id,)  # the token that ends an answer, in training and in generation
        self._rows, self._chats = self._make_row_prompts(), self._make_chat_prompts()
        self._has_reported_opening = False
        self._report_beginning()
        if not self.is_text:
            require_fitting(len(self._encode_prompt(self._write_probe(""))), self.options)

    def require_columns(self, columns: Sequence[str], place: str, answers: Answers = frozenset()) -> None:
        """
        Args:
            place: of the data, for error messages.
            answers: where the answers are.

        Raises:
            DataError: the template uses a name that is no column of the data, or shows the answer.
        """
        if not self.is_text:
            self._rows.require_columns(columns, place)
            require_hidden(self._rows.template.paths, answers)

    def require_effect(self, *, has_chats: bool) -> None:
        """
        Args:
            has_chats: whether the rows are chats, whose messages are cut as a whole and have no template.

        Raises:
            DataError: an option of the recipe changes no prompt.
        """
        if self.is_text and self.options.prompt != TEXT_PROMPT:
            raise DataError(
                "data.prompt has no effect: the texts are learned as they are, without prompts. Remove it; or name two "
                "columns in data.fields, for a text to read and one to write."
            )
        is_written = not self.is_text and not (has_chats and self._chat)
        shown = sorted(self._rows.template.names) if is_written else []
        for name in self.options.never_cut:
            if name not in shown:
                cure = f"{suggest(name, shown)} Write a prompt that shows it, or remove it." if shown else " Remove it."
                raise DataError(f"data.never_cut has no effect on {name!r}: no prompt shows it by itself.{cure}")
        if has_chats and self._chat and self.options.chat_instruction not in (None, "{source}", SUMMARIZE):
            raise DataError(
                "data.chat_instruction has no effect on rows that are chats: their own messages are the prompt. Remove "
                "it, or write data.prompt as a template that shows `messages`."
            )

    @property
    def beginning(self) -> tuple[int, ...]:
        """The tokens that the tokenizer puts before every text, such as BOS."""
        return self._tokenizer.beginning

    def encode_continuation(self, text: str) -> list[int]:
        """Tokenize a text as it is tokenized within another one, with nothing before it."""
        return self._tokenizer.encode_continuation(self._tokenizer.special.protect(text))

    def write_message(self, example: Example) -> str:
        """Return what the user says in the chat of a row, which is not a chat itself, with nothing cut."""
        return self._rows.template.render({**example.columns, "source": example.source})

    def cut_documents(self, examples: Sequence[Example]) -> list[Example]:
        """Cut texts for language modeling into pieces that fit; other examples stay as they are."""
        return cut_documents(examples, self._tokenizer, self.options.max_tokens) if self.is_text else list(examples)

    def encode(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """Return the columns of a tokenized split.

        tokens has the prompt, the answer and the token that ends it; scored marks those that the loss scores;
        prompt_tokens is the length of the prompt; cut names what lost a part; source_cut and target_cut say whether
        the prompt and the answer did.
        """
        if self.is_text:
            return self._encode_documents(examples)
        drafts, prompts = self._encode_drafts(examples)
        found = [self._find_answers(draft, example) for draft, example in zip(drafts, examples, strict=True)]
        divided = [self._divide(draft.prompt) for draft in drafts]
        self._report_openings(found)
        answers, _ = self._seam.encode_answers(
            [words for words, _ in divided],
            prompts,
            [space + answer.last for (_, space), answer in zip(divided, found, strict=True)],
        )
        limit = self.options.max_target_tokens - 1
        rows = [(prompt, [*answer[:limit], self._end_id]) for prompt, answer in zip(prompts, answers, strict=True)]
        return {
            "tokens": [prompt + answer for prompt, answer in rows],
            "prompt_tokens": [len(prompt) for prompt in prompts],
            "scored": [
                self._mark_scored(draft, chat, prompt, answer)
                for draft, chat, (prompt, answer) in zip(drafts, found, rows, strict=True)
            ],
            "source_cut": [bool(draft.cut) for draft in drafts],
            "target_cut": [len(answer) > limit for answer in answers],
            "cut": [list(draft.cut) for draft in drafts],
        }

    def encode_prompts(self, examples: Sequence[Example]) -> tuple[list[list[int]], list[bool]]:
        """Tokenize the prompt of each example, and say whether it was cut. Targets are not read."""
        drafts, prompts = self._encode_drafts(examples)
        return prompts, [bool(draft.cut) for draft in drafts]

    def _encode_drafts(self, examples: Sequence[Example]) -> tuple[list[Draft], list[list[int]]]:
        drafts = [self._choose_prompts(example).write(example) for example in examples]
        prompts = self._tokenizer.encode([self._divide(draft.prompt)[0] for draft in drafts])
        for k, example in enumerate(examples):
            if len(prompts[k]) > self.max_prompt_tokens:
                known = {drafts[k].prompt: len(prompts[k]) - self.max_prompt_tokens}
                count_excess = partial(self._count_excess, known)
                drafts[k] = write_fitting(self._choose_prompts(example), example, count_excess, self.max_prompt_tokens)
                prompts[k] = self._encode_prompt(drafts[k].prompt)
        if not all(prompts):
            raise DataError("A prompt has no tokens at all. Raise max_tokens, or add words to the template.")
        return drafts, prompts

    def _divide(self, prompt: str) -> tuple[str, str]:
        """Divide a prompt at the seam. What a chat template writes is the prompt as it is, in training as in use."""
        return (prompt, "") if self._chat else self._seam.divide(prompt)

    def _encode_prompt(self, prompt: str) -> list[int]:
        return self._tokenizer.encode([self._divide(prompt)[0]])[0]

    def _count_excess(self, known: Mapping[str, int], prompt: str) -> int:
        return known[prompt] if prompt in known else len(self._encode_prompt(prompt)) - self.max_prompt_tokens

    def _choose_prompts(self, example: Example) -> RowPrompts | ChatPrompts:
        return self._chats if example.messages and self._chats else self._rows

    def _find_answers(self, draft: Draft, example: Example) -> ChatAnswers:
        protect = self._tokenizer.special.protect
        if self._chat is None:
            gap = " " if self._ends_in_colon else ""
            return ChatAnswers(last=gap + protect(example.target))
        last = example.messages[-1] if example.messages else {"role": "assistant", "content": example.target}
        all_turns = self.options.turns == "all"
        return find_answers(self._chat, draft, protect(last), self._turn_end, all_turns=all_turns)

    def _mark_scored(self, draft: Draft, chat: ChatAnswers, prompt: Sequence[int], answer: Sequence[int]) -> list[bool]:
        """Mark the tokens of the answers, with the tokens that end them."""
        marks = [False] * len(prompt) + [True] * len(answer)
        if chat.skipped:
            text = draft.prompt + chat.last[: chat.skipped]
            first = self._count_tokens(text, [*prompt, *answer])
            marks[len(prompt) : first] = [False] * (first - len(prompt))
        for start, stop in chat.earlier:
            first, last = (self._count_tokens(draft.prompt[:border], prompt) for border in (start, stop))
            marks[first:last] = [True] * (last - first)
        return marks

    def _count_tokens(self, beginning: str, tokens: Sequence[int]) -> int:
        """Return how many tokens a beginning of a text takes, with the one across its border if there is one."""
        alone = self._tokenizer.encode([beginning])[0]
        same = next((k for k, (a, b) in enumerate(zip(alone, tokens, strict=False)) if a != b), None)
        return min(len(alone), len(tokens)) if same is None else same + 1

    def _encode_documents(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        rows = [encode_document(example, self._tokenizer, self._end_id) for example in examples]
        return {
            "tokens": rows,
            "prompt_tokens": [1] * len(rows),
            "scored": [[False] + [True] * (len(row) - 1) for row in rows],
            "source_cut": [False] * len(rows),
            "target_cut": [False] * len(rows),
            "cut": [[] for _ in rows],
        }

    def _make_chat(self) -> ChatTemplate:
        return ChatTemplate(
            tokenizer=self._tokenizer.tokenizer,
            arguments=self.options.chat_template_kwargs,
            day=get_day(self.options),
        )

    def _make_row_prompts(self) -> RowPrompts:
        text = self.options.chat_instruction if self._chat else self.options.prompt
        assert text is not None, "complete_options chooses one"
        return RowPrompts(
            template=read_template(text),
            tokenizer=self._tokenizer,
            chat=self._chat,
            side=self.options.truncate,
            never_cut=self.options.never_cut,
        )

    def _make_chat_prompts(self) -> ChatPrompts | None:
        if self._chat is None:
            return None
        return ChatPrompts(tokenizer=self._tokenizer, chat=self._chat, side=self.options.truncate)

    def _report_beginning(self) -> None:
        """Say so where the template and the tokenizer disagree about BOS. The tokens have exactly one either way."""
        if not self._tokenizer.beginning or self.is_text:
            return
        text = self._write_probe("a")
        beginning = self._tokenizer.tokenizer.convert_ids_to_tokens(list(self._tokenizer.beginning))
        is_written = self._tokenizer.writes_beginning(text)
        if is_written and not self._chat:
            log.warning(
                "The prompt begins with %s, which the tokenizer adds itself. It is used once.", " ".join(beginning)
            )
        if self._chat and not is_written:
            log.warning(
                "The chat template does not write %s, which the tokenizer puts before every text. It is added.",
                " ".join(beginning),
            )

    def _report_openings(self, chats: Sequence[ChatAnswers]) -> None:
        """Say once if the prompt begins what a finished chat does not have, such as thoughts."""
        opening = next((chat.opening for chat in chats if chat.opening.strip()), None)
        if opening is None or self._has_reported_opening:
            return
        self._has_reported_opening = True
        log.warning(
            "The chat template ends a prompt with %r, which it does not write in a finished chat. Answers are trained "
            "behind it, as they are generated. If they have no thoughts, set chat_template_kwargs, such as "
            "{enable_thinking: false}.",
            opening,
        )

    def _write_probe(self, source: str) -> str:
        """Return the prompt of a row without columns; empty if the template needs some."""
        try:
            return self._rows.write(Example(source=source, target="")).prompt
        except DataError:
            return ""
