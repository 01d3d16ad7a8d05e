"""Loading the data of a recipe: rows, splits, tokens and their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.config.data import DataOptions
from tuneoff.data.prompt import Encoder
from tuneoff.data.sources import read_rows
from tuneoff.data.splits import SPLITS, draw_splits
from tuneoff.data.statistics import DataSummary, compute_fingerprint, summarize
from tuneoff.data.tokens import compute_encoding_key, tokenize

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class TextData:
    """The three splits, tokenized, and their statistics.

    Each split has the columns source and target (cleaned text), tokens (prompt, target, EOS), prompt_tokens (the number
    of tokens in the prompt), source_cut and target_cut (whether a limit removed the end).
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    summary: DataSummary


def load_text(options: DataOptions, tokenizer: PreTrainedTokenizerBase) -> TextData:
    """Load and tokenize the data of a recipe. Equal arguments give equal examples.

    Raises:
        DataError: the data cannot be reached, read or used, or the limits are too small for the template.
    """
    encoder, encoding = Encoder(options, tokenizer), compute_encoding_key(options, tokenizer)
    splits = draw_splits(read_rows(options), options)
    tokens = {name: tokenize(splits.by_name[name].pairs, encoder, encoding) for name in SPLITS}
    summary = DataSummary(
        fingerprint=compute_fingerprint(tokens),
        splits={name: summarize(splits.by_name[name], tokens[name]) for name in SPLITS},
        duplicates=dict(splits.duplicates),
    )
    return TextData(train=tokens["train"], validation=tokens["validation"], test=tokens["test"], summary=summary)
