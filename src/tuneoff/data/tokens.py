"""A cache of tokenized splits, so that each split is tokenized once for all trials and processes.

The name of a folder is a hash of everything that the tokens depend on, including the cleaned text, so a file is never
out of date. A damaged file is detected by its checksum and made again.
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
from tuneoff.system.cache import check_cache_folder, get_cache_folder, write_cache_checksums
from tuneoff.system.full_disk import explain_full_disk

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

SCHEME = 1  # increase it when a change of the code makes other tokens from the same text and options


def tokenize(pairs: Sequence[TextPair], encoder: Encoder, encoding: str) -> Dataset:
    """Tokenize the examples of a split, or load them from the cache. The result is memory-mapped.

    Columns: source and target (cleaned text), tokens (prompt, target, EOS), prompt_tokens, source_cut, target_cut.

    Args:
        encoding: from `compute_encoding_key`; computed once for all splits, because it reads the whole vocabulary.
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
        is_cached = check_cache_folder(folder)
        dataset = Dataset.from_dict(text).map(
            encoder.encode,
            input_columns=["source", "target"],
            batched=True,
            features=Features(columns),
            cache_file_name=str(file),
            load_from_cache_file=is_cached,
            new_fingerprint=key,
        )
        if not is_cached:
            write_cache_checksums(folder, [file])
        return dataset


def compute_encoding_key(options: TextOptions, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a key of everything besides the text that decides its tokens: the tokenizer, template and limits."""
    fields = {"prompt", "max_tokens", "max_target_tokens"} | ({"chat_instruction"} if options.prompt == CHAT else set())
    return f"{SCHEME} {compute_tokenizer_identity(tokenizer)} {options.model_dump_json(include=fields)}"


def compute_tokens_key(pairs: Sequence[TextPair], encoding: str) -> str:
    """Hash everything that the tokens of these pairs depend on. Returns 32 hex digits."""
    key = hashlib.sha256(encoding.encode())
    for pair in pairs:
        key.update(json.dumps(pair).encode())
    return key.hexdigest()[:32]


def compute_tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash everything in a tokenizer that decides how text becomes tokens.

    Padding and truncation are excluded: a tokenizer keeps the settings of its last call, and we never rely on them.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend.update(padding=None, truncation=None)
    identity = json.dumps([backend, tokenizer.chat_template, tokenizer.eos_token_id], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()
