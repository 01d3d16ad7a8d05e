"""What to know about the data before anything else: it stands at the top of a plan, of a result and of a page."""

from __future__ import annotations

from collections.abc import Iterator

from tuneoff.data.statistics import DataSummary
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_share, pluralize

MOST_LEFT_OUT = 0.05  # share of the rows drawn for a split that may be unusable without a warning


def list_data_warnings(data: DataSummary) -> list[str]:
    """Return a sentence for each split with many rows left out, or with targets that spell missing values."""
    return [escape_control(text) for text in (*_warn_left_out(data), *_warn_missing_values(data))]


def describe_rows(data: DataSummary) -> str:
    """Return what a row of the data is made of, whether that was recognized, and what the examples are about."""
    how = "recognized by columns and values" if data.shape_recognized else "as the recipe says"
    languages = " to ".join(dict.fromkeys(data.languages.values()))
    return f"{data.shape}, {how}; task {data.task}{f', {languages}' if languages else ''}"


def _warn_left_out(data: DataSummary) -> Iterator[str]:
    for name, split in data.splits.items():
        if split.left_out_share > MOST_LEFT_OUT:
            yield (
                f"{format_share(split.left_out_share)} of the rows for {name} are left out ({split.left_out:,} of "
                f"{split.left_out + split.examples:,}), because they are no usable examples: "
                f"{'; '.join(split.left_out_examples)}."
            )


def _warn_missing_values(data: DataSummary) -> Iterator[str]:
    for name, split in data.splits.items():
        if split.na_targets:
            yield (
                f"{pluralize(split.na_targets, 'target')} of {name} may be a missing value and is kept as text: "
                f"{'; '.join(split.na_examples)}. If it is missing, write data.na: leave-out."
            )
