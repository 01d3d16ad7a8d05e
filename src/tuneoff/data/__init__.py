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
from tuneoff.data.batches import Batch, collate, collate_prompts, make_epoch_batches, make_evaluation_batches
from tuneoff.data.load import TextData, load_text
from tuneoff.data.statistics import DataSummary, SplitSummary, count_tokens

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
    "count_tokens",
    "load_text",
    "make_epoch_batches",
    "make_evaluation_batches",
]
