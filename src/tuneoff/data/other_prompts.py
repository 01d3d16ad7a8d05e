"""The same examples with other prompts: the base model may be asked better, or be shown examples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuneoff.config.data import CHAT
from tuneoff.data.example import Example, Row
from tuneoff.data.load import TextData
from tuneoff.data.prompt import Encoder
from tuneoff.data.tokens import read_examples

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

SEPARATOR = "\n\n"  # between an example that is shown and what follows


def write_prompts(text: TextData, tokenizer: PreTrainedTokenizerBase, prompt: str, instruction: str | None) -> TextData:
    """Return the text with the prompts of another template.

    Args:
        prompt: as `data.prompt`.
        instruction: as `data.chat_instruction`; None: the recipe's.

    Raises:
        DataError: the template does not fit the data, the tokenizer or the limits.
    """
    changed = {"prompt": prompt, **({} if instruction is None else {"chat_instruction": instruction})}
    if prompt == CHAT and instruction is None and text.options.chat_instruction is None:
        changed["chat_instruction"] = "{source}"
    options = text.options.model_copy(update=changed)
    encoder = Encoder(options, tokenizer)

    def encode(split: Dataset) -> Dataset:
        examples = read_examples(split)
        encoder.require_columns(list(examples[0].columns), "the data", text.answers)
        return _replace_columns(split, encoder.encode(examples))

    # all of train, because the labels of a task are found in it
    splits = {name: encode(getattr(text, name)) for name in ("train", "validation", "test")}
    return replace(text, options=options, ends=encoder.ends, **splits)


def list_whole(split: Dataset) -> list[int]:
    """Return the rows of which nothing was cut. Only these can be shown as examples."""
    cut = zip(split["source_cut"], split["target_cut"], strict=True)
    return [row for row, (source_cut, target_cut) in enumerate(cut) if not source_cut and not target_cut]


def show_examples(text: TextData, tokenizer: PreTrainedTokenizerBase, shots: Mapping[str, Sequence[int]]) -> TextData:
    """Return the text with examples of train before the prompt of each example, as whole texts or as turns of a chat.

    As texts they teach the model to go on with a further example, so an answer ends at the empty line before it.

    Args:
        shots: rows of train for the source of each example, in the order in which they are shown.
    """
    encoder = Encoder(text.options, tokenizer)
    show = _show_as_turns if text.options.prompt == CHAT else _show_as_text
    shown = {row for rows in shots.values() for row in rows}
    ends_with_separator = show is _show_as_text and not any(SEPARATOR in target for target in text.train["target"])
    stops = (SEPARATOR,) if ends_with_separator else ()
    changed = replace(text, stops=stops)
    return _change_splits(changed, lambda split: show(split, text, encoder, tokenizer, shots), shown)


def _show_as_text(
    split: Dataset, text: TextData, encoder: Encoder, _: PreTrainedTokenizerBase, shots: Mapping[str, Sequence[int]]
) -> Dataset:
    """Put the tokens of the shown examples before each prompt. BOS stands once, and no end token between them."""
    separator, start = encoder.encode_continuation(SEPARATOR), len(encoder.beginning)
    shown = {row for rows in shots.values() for row in rows}
    bodies = {row: [*text.train[row]["tokens"][start:-1], *separator] for row in shown}
    columns: dict[str, list[Any]] = {"tokens": [], "prompt_tokens": [], "scored": []}
    for example in split.select_columns(["source", *columns]):
        before = [token for row in shots[example["source"]] for token in bodies[row]]
        columns["tokens"].append([*encoder.beginning, *before, *example["tokens"][start:]])
        columns["prompt_tokens"].append(example["prompt_tokens"] + len(before))
        columns["scored"].append([False] * len(before) + example["scored"])
    return _replace_columns(split, columns)


def _show_as_turns(
    split: Dataset,
    text: TextData,
    encoder: Encoder,
    tokenizer: PreTrainedTokenizerBase,
    shots: Mapping[str, Sequence[int]],
) -> Dataset:
    """Write the shown examples as earlier turns of the chat, with the limit of the prompt for each of them."""
    most = max(map(len, shots.values()))
    options = text.options.model_copy(update={"max_tokens": (most + 1) * text.options.max_tokens, "turns": "last"})
    train = read_examples(text.train)

    def write_turns(example: Example) -> list[Row]:
        if example.messages:
            return list(example.messages)
        question = {"role": "user", "content": encoder.write_message(example)}
        return [question, {"role": "assistant", "content": example.target}]

    examples = [
        replace(
            example,
            messages=tuple(
                turn
                for shown in (*(train[row] for row in shots[example.source]), example)
                for turn in write_turns(shown)
            ),
        )
        for example in read_examples(split)
    ]
    return _replace_columns(split, Encoder(options, tokenizer).encode(examples))


def _change_splits(text: TextData, change: Callable[[Dataset], Dataset], shown: Collection[int]) -> TextData:
    """Change validation and test, and the part of train whose loss a trial reports, without the examples shown."""
    rows = [row for row in range(len(text.train)) if row not in shown] or list(range(len(text.train)))
    part = text.train.select(rows[: len(text.validation)])
    return replace(text, train=change(part), validation=change(text.validation), test=change(text.test))


def _replace_columns(split: Dataset, columns: Mapping[str, list[Any]]) -> Dataset:
    from datasets import Dataset, concatenate_datasets

    kept = split.remove_columns([name for name in columns if name in split.column_names])
    return concatenate_datasets([kept, Dataset.from_dict(dict(columns))], axis=1)
