"""What to know about the data before anything else: it stands at the top of a plan, of a result and of a page."""

from __future__ import annotations

from collections.abc import Iterator

from tuneoff.data.languages import spell_out
from tuneoff.data.statistics import DataSummary
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_share, pluralize

MOST_EQUAL_PROMPTS = 0.05  # share of the different sources whose prompt is that of another one, without a warning
FEW_GROUPS = 20  # of test examples, below which an interval over groups is wide
MOST_LEFT_OUT = 0.05  # share of the rows drawn for a split that may be unusable without a warning


def list_data_warnings(data: DataSummary) -> list[str]:
    """Return a sentence for each split with many rows left out, targets that spell missing values, or equal prompts,
    and for few groups of test examples."""
    warnings = (
        *_warn_left_out(data), *_warn_missing_values(data), *_warn_equal_prompts(data), *_warn_few_groups(data),
    )  # fmt: skip
    return [escape_control(text) for text in warnings]


def describe_rows(data: DataSummary) -> str:
    """Return what a row of the data is made of, whether that was recognized, and what the examples are about."""
    how = "recognized by columns and values" if data.shape_recognized else "as the recipe says"
    languages = " to ".join(dict.fromkeys(map(spell_out, data.languages.values())))
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
                f"{pluralize(split.na_targets, 'target')} of {name} may mean a missing value, kept as text: "
                f"{'; '.join(split.na_examples)}. To leave such rows out, write data.na: leave-out."
            )


def _warn_equal_prompts(data: DataSummary) -> Iterator[str]:
    for name, split in data.splits.items():
        sources, prompts = split.distinct_sources, split.distinct_prompts
        if sources is not None and prompts is not None and prompts < (1 - MOST_EQUAL_PROMPTS) * sources:
            yield (
                f"The {sources:,} different sources of {name} make only {pluralize(prompts, 'different prompt')}: what "
                "makes them different is cut, or not used by the prompt. Raise data.max_tokens, cut another part "
                "(data.truncate), or change the prompt."
            )


def _warn_few_groups(data: DataSummary) -> Iterator[str]:
    """Examples of a group are alike, so intervals are over groups, however many examples each has."""
    test = data.splits.get("test")
    if test and test.groups and test.groups < min(FEW_GROUPS, test.examples / 2):
        kind = "rows with the same source" if data.groups_by_source else "data.fields.group"
        yield (
            f"The {test.examples:,} test examples are of only {pluralize(test.groups, 'group')} ({kind}), so they say "
            f"about as much as {test.groups:,} examples that have nothing in common. Give smaller groups, fewer rows "
            "of each, or more test rows."
        )
