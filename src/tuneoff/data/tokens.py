"""Each split tokenised once and kept on disk, so that every trial and every process starts from the same file.

The name of the folder is a hash of all that the tokens depend on, the cleaned text itself included: a file is never
stale, and text that a change left alone is not tokenised again. A file that is not what was written is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuneoff.config.data import CHAT, TextOptions
from tuneoff.data.cleaning import TextPair
from tuneoff.data.prompt import Encoder
from tuneoff.data.sources import hide_progress_bars
from tuneoff.system.cache import get_cache_folder, is_intact, write_cache_checksums
from tuneoff.system.full_disk import explain_full_disk

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

SCHEME = 1  # raise it when the same text and options come to give other tokens


def tokenize(pairs: Sequence[TextPair], encoder: Encoder, encoding: str) -> Dataset:
    """The examples with their text and tokens, memory-mapped from the cache.

    Columns: source and target (cleaned text), tokens (prompt, target, EOS), prompt_tokens, source_cut, target_cut.

    Args:
        encoding: the `encoding_key` of the encoder, made once for all splits because it reads the whole vocabulary.
    """
    from datasets import Dataset, Features, List, Value

    key = compute_tokens_key(pairs, encoding)
    folder = get_cache_folder() / "tokens" / key
    file = folder / "tokens.arrow"
    text = {"source": [source for source, _ in pairs], "target": [target for _, target in pairs]}
    columns = {
        **dict.fromkeys(("source", "target"), Value("string")),
        "tokens": List(Value("int32")),
        "prompt_tokens": Value("int32"),
        **dict.fromkeys(("source_cut", "target_cut"), Value("bool")),
    }
    with hide_progress_bars(), explain_full_disk(file):
        folder.mkdir(parents=True, exist_ok=True)
        there = is_intact(folder)
        dataset = Dataset.from_dict(text).map(
            encoder.columns,
            input_columns=["source", "target"],
            batched=True,
            features=Features(columns),
            cache_file_name=str(file),
            load_from_cache_file=there,
            new_fingerprint=key,
        )
        if not there:
            write_cache_checksums(folder, [file])
        return dataset


def compute_encoding_key(options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> str:
    """What decides how a pair of texts becomes tokens."""
    asked = {"prompt", "max_tokens", "max_target_tokens"} | ({"chat_instruction"} if options.prompt == CHAT else set())
    return f"{SCHEME} {compute_tokenizer_identity(tokenizer)} {options.model_dump_json(include=asked)}"


def compute_tokens_key(pairs: Sequence[TextPair], encoding: str) -> str:
    """A hash of all that the tokens of these pairs depend on, 32 hex digits."""
    key = hashlib.sha256(encoding.encode())
    for pair in pairs:
        key.update(json.dumps(pair).encode())
    return key.hexdigest()[:32]


def compute_tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of what decides how text becomes tokens.

    Padding and truncation are left out: a tokenizer keeps those of its last call, and we never rely on them.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend.update(padding=None, truncation=None)
    whole = json.dumps([backend, tokenizer.chat_template, tokenizer.eos_token_id], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
