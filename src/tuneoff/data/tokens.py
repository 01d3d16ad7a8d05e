"""A cache of tokenized splits, so that each split is tokenized once for all trials and processes.

The name of a folder is a hash of everything that the tokens depend on, including the cleaned text, so a file is never
out of date. A damaged file is detected by its checksum and made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tuneoff.data.example import Example, Row
from tuneoff.data.prompt import Encoder
from tuneoff.data.reading import hide_progress_bars
from tuneoff.errors import DataError
from tuneoff.system.cache import check_cache_folder, get_cache_folder, write_cache_checksums
from tuneoff.system.full_disk import explain_full_disk

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

# the options that decide the tokens, completed by the encoder
ENCODING_FIELDS = {
    "prompt", "chat_instruction", "chat_template_kwargs", "turns", "date", "truncate", "never_cut",
    "max_tokens", "max_target_tokens",
}  # fmt: skip
SCHEME = 4  # increase it when a change of the code makes other tokens from the same text and options


def tokenize(
    examples: Sequence[Example], encoder: Encoder, encoding: str, name_row: Callable[[int], str] = lambda _: ""
) -> Dataset:
    """Tokenize the examples of a split, or load them from the cache. The result is memory-mapped.

    Columns: source, target and references (cleaned text), row and messages (the columns of the data and the messages
    of a chat, as JSON), and those of `Encoder.encode`.

    Args:
        encoding: from `compute_encoding_key`; computed once for all splits, because it reads the whole vocabulary.
        name_row: returns where an example comes from, by its position, as the beginning of an error message.

    Raises:
        DataError: an example cannot be encoded.
    """
    from datasets import Dataset, Features, List, Value

    key = compute_tokens_key(examples, encoding)
    folder = get_cache_folder() / "tokens" / key
    file = folder / "tokens.arrow"
    columns = {
        **dict.fromkeys(("source", "target"), Value("string")),
        "references": List(Value("string")),
        "row": Value("string"),
        "messages": Value("string"),
        "tokens": List(Value("int32")),
        "prompt_tokens": Value("int32"),
        "scored": List(Value("bool")),
        **dict.fromkeys(("source_cut", "target_cut"), Value("bool")),
        "cut": List(Value("string")),
    }

    def encode(positions: Sequence[int]) -> dict[str, list[Any]]:
        block = [examples[i] for i in positions]
        try:
            return {**_make_text_columns(block), **encoder.encode(block)}
        except DataError:
            for i in positions:  # one at a time, to say which one it is
                with _name_in_errors(name_row(i)):
                    encoder.encode([examples[i]])
            raise

    with hide_progress_bars(), explain_full_disk(file):
        folder.mkdir(parents=True, exist_ok=True)
        is_cached = check_cache_folder(folder)
        dataset = Dataset.from_dict({"position": range(len(examples))}).map(
            encode,
            input_columns=["position"],
            remove_columns=["position"],
            batched=True,
            features=Features(columns),
            cache_file_name=str(file),
            load_from_cache_file=is_cached,
            new_fingerprint=key,
        )
        if not is_cached:
            write_cache_checksums(folder, [file])
        return dataset


@contextmanager
def _name_in_errors(place: str) -> Iterator[None]:
    """Put the place before the message of an error on data."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{place}{error}") from error


def _make_text_columns(examples: Sequence[Example]) -> dict[str, list[Any]]:
    return {
        "source": [example.source for example in examples],
        "target": [example.target for example in examples],
        "references": [list(example.references) for example in examples],
        "row": [_dump_json(example.columns) for example in examples],
        "messages": [_dump_json(example.messages) for example in examples],
    }


def read_examples(split: Dataset) -> list[Example]:
    """Return the examples of a tokenized split as text."""
    columns = [split[name][:] for name in ("source", "target", "references", "row", "messages")]
    return [
        Example(
            source=source,
            target=target,
            references=tuple(references),
            columns=json.loads(row),
            messages=tuple(json.loads(messages)),
        )
        for source, target, references, row, messages in zip(*columns, strict=True)
    ]


def _dump_json(value: Row | Sequence[Row]) -> str:
    """Write columns or messages as JSON. A value that JSON does not have, such as a date, becomes text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def compute_encoding_key(encoder: Encoder) -> str:
    """Return a key of everything besides the examples that decides their tokens: tokenizer, templates and limits."""
    fields = encoder.options.model_dump_json(include=ENCODING_FIELDS)
    return f"{SCHEME} {encoder.is_text} {compute_tokenizer_identity(encoder.tokenizer)} {fields}"


def compute_tokens_key(examples: Sequence[Example], encoding: str) -> str:
    """Hash everything that the columns of these examples depend on. Returns 32 hex digits."""
    key = hashlib.sha256(encoding.encode())
    for e in examples:
        key.update(json.dumps([e.source, e.target, e.references, e.messages, e.columns], default=str).encode())
    return key.hexdigest()[:32]


@contextmanager
def keep_truncation(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Restore the tokenizer's truncation after the block. It keeps that of its last call, and saves it with a model."""
    backend = tokenizer.backend_tokenizer
    before = backend.truncation
    try:
        yield
    finally:
        if before is None:
            backend.no_truncation()
        else:
            backend.enable_truncation(**before)


def compute_tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash everything in a tokenizer that decides how text becomes tokens.

    Padding and truncation are excluded: a tokenizer keeps the settings of its last call, and we never rely on them.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend.update(padding=None, truncation=None)
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    identity = json.dumps([backend, tokenizer.chat_template, tokenizer.eos_token_id, special], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()
