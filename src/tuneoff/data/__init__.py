"""The data: reading text, splitting and tokenizing it, and making batches."""

from tuneoff.data.batches import Batch, collate, collate_prompts, make_epoch_batches, make_evaluation_batches
from tuneoff.data.load import TextData, load_text
from tuneoff.data.statistics import DataSummary, SplitSummary, count_scored, count_tokens

__all__ = [
    "Batch",
    "DataSummary",
    "SplitSummary",
    "TextData",
    "collate",
    "collate_prompts",
    "count_scored",
    "count_tokens",
    "load_text",
    "make_epoch_batches",
    "make_evaluation_batches",
]
