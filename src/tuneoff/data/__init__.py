"""Text: where it comes from, how it becomes examples, and how examples become batches."""

from tuneoff.config.data import (
    AclsumText,
    Clean,
    DataOptions,
    Fields,
    FileText,
    Fractions,
    HubText,
    SavedText,
    Sizes,
    SplitFiles,
    SplitNames,
    TextOptions,
)
from tuneoff.data.batches import Batch, collate, collate_prompts, epoch_batches, evaluation_batches
from tuneoff.data.load import TextData, load_text
from tuneoff.data.statistics import DataSummary, SplitSummary, token_counts

__all__ = [
    "AclsumText",
    "Batch",
    "Clean",
    "DataOptions",
    "DataSummary",
    "Fields",
    "FileText",
    "Fractions",
    "HubText",
    "SavedText",
    "Sizes",
    "SplitFiles",
    "SplitNames",
    "SplitSummary",
    "TextData",
    "TextOptions",
    "collate",
    "collate_prompts",
    "epoch_batches",
    "evaluation_batches",
    "load_text",
    "token_counts",
]
