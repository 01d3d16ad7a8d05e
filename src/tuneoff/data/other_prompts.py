"""How a model is asked: with the prompts of the recipe, with a better one, or with examples shown before each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from tuneoff.config.data import CHAT, DataOptions
from tuneoff.data.example import Example, Row
from tuneoff.data.load import TextData
from tuneoff.data.prompt import Encoder
from tuneoff.data.reading import hide_progress_bars
from tuneoff.data.tokens import read_examples

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

SEPARATOR = "\n\n"  # between an example that is shown and what follows
# what a recipe with a chat template may say and a text has no use for, with the defaults
ONLY_FOR_CHATS: Mapping[str, Any] = {
    "chat_instruction": None, "chat_template_kwargs": {}, "turns": "last", "date": None,
}  # fmt: skip
ChooseShots = Callable[[str], Sequence[int]]  # from the source of an example to the rows of train to show before it


class PromptWriter(ABC):
    """Writes the prompts of a run, for its examples and for new ones.

    Args:
        options: of the data, with the template of these prompts.
        ends: tokens that end an answer.
        stops: strings that end an answer, because the prompt shows answers that end so.
    """

    options: DataOptions
    ends: tuple[int, ...]
    stops: tuple[str, ...] = ()

    @abstractmethod
    def present(self, text: TextData) -> TextData:
        """Return the examples of a run with these prompts.

        Raises:
            DataError: they do not fit the data, the tokenizer or the limits.
        """

    @abstractmethod
    def encode(self, examples: Sequence[Example]) -> list[list[int]]:
        """Return the tokens of each prompt. Answers are not read.

        Raises:
            DataError: an example lacks a column that the template uses, or does not fit.
        """


@final
class RecipePrompts(PromptWriter):
    """The prompts of the recipe."""

    def __init__(self, options: DataOptions, tokenizer: PreTrainedTokenizerBase) -> None:
        self.options = options
        self._encoder = Encoder(options, tokenizer)
        self.ends = self._encoder.ends

    def present(self, text: TextData) -> TextData:
        return text

    def encode(self, examples: Sequence[Example]) -> list[list[int]]:
        return _encode_new(self._encoder, examples)


@final
class RewrittenPrompts(PromptWriter):
    """The prompts of another template.

    Args:
        options: of the recipe.
        prompt: as `data.prompt`.
        instruction: as `data.chat_instruction`; None: the recipe's.

    Raises:
        DataError: the template does not fit the tokenizer or the limits.
    """

    def __init__(
        self, options: DataOptions, tokenizer: PreTrainedTokenizerBase, prompt: str, instruction: str | None
    ) -> None:
        changed: dict[str, Any] = {"prompt": prompt}
        if prompt != CHAT:
            changed |= ONLY_FOR_CHATS
        elif options.chat_instruction is None:
            changed["chat_instruction"] = "{source}"
        if instruction is not None:
            changed["chat_instruction"] = instruction
        self.options = options.model_copy(update=changed)
        self._encoder = Encoder(self.options, tokenizer)
        self.ends = self._encoder.ends

    def present(self, text: TextData) -> TextData:
        def encode(split: Dataset) -> Dataset:
            examples = read_examples(split)
            columns = {name: None for example in examples for name in example.columns}  # a row may lack some
            self._encoder.require_columns(list(columns), "the data", text.answers)
            return _replace_columns(split, self._encoder.encode(examples))

        # all of train, because the labels of a task are found in it
        splits = {name: encode(getattr(text, name)) for name in ("train", "validation", "test")}
        return replace(text, options=self.options, ends=self.ends, **splits)

    def encode(self, examples: Sequence[Example]) -> list[list[int]]:
        return _encode_new(self._encoder, examples)


def list_whole(split: Dataset) -> list[int]:
    """Return the rows of which nothing was cut. Only these can be shown as examples."""
    cut = zip(split["source_cut"], split["target_cut"], strict=True)
    return [row for row, (source_cut, target_cut) in enumerate(cut) if not source_cut and not target_cut]


@final
class ShownExamples(PromptWriter):
    """Examples of train before the prompt of each example, as whole texts or as turns of a chat.

    As texts they teach the model to go on with a further example, so an answer ends at the empty line before it.

    Args:
        train: the train split, or the sample that a replicate has in its place.
        choose: the rows to show before an example, in their order.
    """

    def __init__(
        self, options: DataOptions, tokenizer: PreTrainedTokenizerBase, train: Dataset, choose: ChooseShots
    ) -> None:
        self.options, self._tokenizer, self._train, self._choose = options, tokenizer, train, choose
        self._encoder = Encoder(options, tokenizer)
        self._is_chat = options.prompt == CHAT
        self.ends = self._encoder.ends
        ends_with_separator = not self._is_chat and not any(SEPARATOR in target for target in train["target"])
        self.stops = (SEPARATOR,) if ends_with_separator else ()

    def present(self, text: TextData) -> TextData:
        sources = {source for split in (text.train, text.validation, text.test) for source in split["source"]}
        shots = {source: self._choose(source) for source in sources}
        shown = {row for rows in shots.values() for row in rows}
        show = self._show_as_turns if self._is_chat else self._show_as_text
        return _change_splits(replace(text, stops=self.stops), lambda split: show(split, shots), shown)

    def encode(self, examples: Sequence[Example]) -> list[list[int]]:
        shots = {example.source: self._choose(example.source) for example in examples}
        if self._is_chat:
            return _encode_new(self._make_turn_encoder(shots), self._write_turns(examples, shots))
        bodies, start = self._list_bodies(shots), len(self._encoder.beginning)
        prompts = _encode_new(self._encoder, examples)
        return [
            [*self._encoder.beginning, *_join(bodies, shots[example.source]), *prompt[start:]]
            for example, prompt in zip(examples, prompts, strict=True)
        ]

    def _show_as_text(self, split: Dataset, shots: Mapping[str, Sequence[int]]) -> Dataset:
        """Put the tokens of the shown examples before each prompt. BOS stands once, and no end token between them."""
        bodies, start = self._list_bodies(shots), len(self._encoder.beginning)
        columns: dict[str, list[Any]] = {"tokens": [], "prompt_tokens": [], "scored": []}
        for example in split.select_columns(["source", *columns]):
            before = _join(bodies, shots[example["source"]])
            columns["tokens"].append([*self._encoder.beginning, *before, *example["tokens"][start:]])
            columns["prompt_tokens"].append(example["prompt_tokens"] + len(before))
            columns["scored"].append([False] * len(before) + example["scored"])
        return _replace_columns(split, columns)

    def _list_bodies(self, shots: Mapping[str, Sequence[int]]) -> dict[int, list[int]]:
        """Return the tokens of each shown example, with the separator behind it."""
        separator, start = self._encoder.encode_continuation(SEPARATOR), len(self._encoder.beginning)
        shown = {row for rows in shots.values() for row in rows}
        return {row: [*self._train[row]["tokens"][start:-1], *separator] for row in shown}

    def _show_as_turns(self, split: Dataset, shots: Mapping[str, Sequence[int]]) -> Dataset:
        examples = self._write_turns(read_examples(split), shots)
        return _replace_columns(split, self._make_turn_encoder(shots).encode(examples))

    def _make_turn_encoder(self, shots: Mapping[str, Sequence[int]]) -> Encoder:
        """Return an encoder with the limit of the prompt for each of the shown examples."""
        most = max(map(len, shots.values()))
        limits = {"max_tokens": (most + 1) * self.options.max_tokens, "turns": "last"}
        return Encoder(self.options.model_copy(update=limits), self._tokenizer)

    def _write_turns(self, examples: Sequence[Example], shots: Mapping[str, Sequence[int]]) -> list[Example]:
        """Write the shown examples as earlier turns of the chat."""
        chosen = sorted({row for rows in shots.values() for row in rows})
        shown = dict(zip(chosen, read_examples(self._train.select(chosen)), strict=True))
        return [
            replace(
                example,
                messages=tuple(
                    turn
                    for part in (*(shown[row] for row in shots[example.source]), example)
                    for turn in self._write_turn(part)
                ),
            )
            for example in examples
        ]

    def _write_turn(self, example: Example) -> list[Row]:
        if example.messages:
            return list(example.messages)
        question = {"role": "user", "content": self._encoder.write_message(example)}
        return [question, {"role": "assistant", "content": example.target}]


def _encode_new(encoder: Encoder, examples: Sequence[Example]) -> list[list[int]]:
    """Encode examples whose columns may be others than those of the data."""
    for example in examples:
        if not example.messages or encoder.options.prompt != CHAT:
            encoder.require_columns(list(example.columns), "the row")
    return encoder.encode_prompts(examples)[0]


def _join(bodies: Mapping[int, Sequence[int]], rows: Sequence[int]) -> list[int]:
    return [token for row in rows for token in bodies[row]]


def _change_splits(text: TextData, change: Callable[[Dataset], Dataset], shown: Collection[int]) -> TextData:
    """Change validation and test, and the part of train whose loss a trial reports, without the examples shown."""
    rows = [row for row in range(len(text.train)) if row not in shown] or list(range(len(text.train)))
    part = text.train.select(rows[: len(text.validation)])
    return replace(text, train=change(part), validation=change(text.validation), test=change(text.test))


def _replace_columns(split: Dataset, columns: Mapping[str, list[Any]]) -> Dataset:
    from datasets import Dataset, concatenate_datasets

    kept = split.remove_columns([name for name in columns if name in split.column_names])
    with hide_progress_bars():
        return concatenate_datasets([kept, Dataset.from_dict(dict(columns))], axis=1)
