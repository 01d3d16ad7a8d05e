"""What was found in data, in sentences and tables, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuneoff.config.data import Task, get_fields
from tuneoff.data.overview import TOLERATED_CUT, ColumnSummary, Overview, Side
from tuneoff.report.format import format_share, join_list, pluralize
from tuneoff.report.html import render_document
from tuneoff.system.atomic_write import write_atomically

COLUMN_HEADINGS = ("column", "holds", "distinct", "characters", "first value")
KINDS: dict[Task, str] = {
    "prose": "texts, such as summaries (task: prose)",
    "labels": "texts with one of a few labels (task: labels)",
    "answers": "questions with short answers (task: answers)",
    "translation": "translations (task: translation)",
    "code": "code (task: code)",
    "numbers": "questions with numbers as answers (task: numbers)",
    "json": "texts with JSON as answers (task: json)",
    "chat": "chats (task: chat)",
    "text": "texts without prompts (task: text)",
}
LENGTH_HEADINGS = ("tokens", "median", "90 %", "99 %", "longest")


def list_rows(overview: Overview) -> Iterator[str]:
    """Say which files there are, and how many rows and examples each split has."""
    yield from overview.files
    if len(overview.rows) > 1 or not overview.files:
        yield f"Rows: {', '.join(f'{count:,} {name}' for name, count in overview.rows.items())}"
    if overview.splits:
        counts = [
            f"{split.examples:,} {name}{'' if split.is_own else ' (taken out of train)' if name != 'train' else ''}"
            for name, split in overview.splits.items()
        ]
        yield f"Examples: {', '.join(counts)}"


def list_column_cells(overview: Overview) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each column's row: `COLUMN_HEADINGS`."""
    for column in overview.columns:
        kinds = [
            kind if count == overview.sampled_rows else f"{count:,} {kind}" for kind, count in column.kinds.items()
        ]
        characters = ""
        if column.median_characters is not None:
            characters = f"{column.median_characters:,}, longest {column.longest_characters:,}"
        yield column.name, ", ".join(kinds), f"{column.distinct:,}", characters, column.first


def list_length_cells(overview: Overview) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row of lengths: `LENGTH_HEADINGS`."""
    if lengths := overview.lengths:
        for name, part in (("prompt", lengths.prompt), ("target", lengths.target), ("both", lengths.both)):
            numbers = (part.median, part.percentile_90, part.percentile_99, part.longest)
            yield name, *(f"{number:,}" for number in numbers)


def describe_cuts(overview: Overview) -> str:
    """Say which share of the examples is longer than each limit; empty if it is not known."""
    if overview.lengths is None:
        return ""
    shares = [f"{limit:,}: {format_share(share)}" for limit, share in overview.lengths.cut_shares.items()]
    return f"Longer than a limit of so many tokens: {', '.join(shares)}"


def list_findings(overview: Overview) -> Iterator[str]:
    """Say what else was found: languages, repetitions, possible groups, and rows that are no examples."""
    if overview.task:
        yield f"The examples are {KINDS[overview.task]}, which decides the default metrics and prompt"
    yield from (_describe_side(side) for side in overview.sides if side.longest_characters)
    for name, split in overview.splits.items():
        if split.left_out:
            rows = "; ".join(split.left_out_examples)
            yield f"{pluralize(split.left_out, 'row')} left out of {name} ({rows})"
        if split.removed_as_grouped:
            rows = pluralize(split.removed_as_grouped, "row")
            yield f"{rows} left out of {name}, because another split has their source or their group"
        if split.na_targets:
            targets, rows = pluralize(split.na_targets, "target"), "; ".join(split.na_examples)
            yield f"{targets} of {name} kept as text that may mean a missing value ({rows}); see data.na"
    yield from _list_repetitions(overview)
    for column in overview.group_candidates:
        yield _describe_group(column)
    yield from overview.notes


def list_next_steps(overview: Overview) -> Iterator[str]:
    """Say what to do next."""
    if overview.problem:
        reads = "The model cannot read these examples yet" if overview.splits else "These rows are no examples yet"
        yield f"{reads}: {overview.problem}"
        if overview.lacks_columns and len(overview.columns) > 1 and overview.sampled_rows > 1:
            names = join_list([repr(column.name) for column in overview.columns])
            yield f"The columns are {names}. Name two: data.fields.source=NAME data.fields.target=NAME"
    elif overview.lengths:
        limits = overview.lengths
        target = "" if limits.max_target_tokens is None else f", max_target_tokens {limits.max_target_tokens}"
        if limits.proposed_cut > TOLERATED_CUT and limits.max_target_tokens is not None:
            yield (
                f"The proposed limits cut {format_share(limits.proposed_cut)} of the examples. Which part they lose is "
                "decided by data.truncate: by default the end, where a question may stand."
            )
        yield f"Proposed limits: max_tokens {limits.max_tokens}{target}. To begin a recipe with them: tuneoff init DATA"
    else:
        yield "Add --model NAME for lengths in tokens, and for examples as the model reads them."


def write_overview_page(overview: Overview, title: str, path: Path) -> None:
    """Write what was found as a page in one file."""
    fields = get_fields(overview.options)
    page = render_document(
        "overview.html.j2",
        {},
        {},
        title=title,
        fields=fields,
        overview=overview,
        rows=list(list_rows(overview)),
        column_headings=COLUMN_HEADINGS,
        columns=list(list_column_cells(overview)),
        length_headings=LENGTH_HEADINGS,
        lengths=list(list_length_cells(overview)),
        cuts=list(overview.lengths.cut_shares.items()) if overview.lengths else [],
        findings=list(list_findings(overview)),
        next_steps=list(list_next_steps(overview)),
    )
    write_atomically(path, page)


def _describe_side(side: Side) -> str:
    scripts = [name if share > 0.98 else f"{name} {format_share(share)}" for name, share in side.scripts.items()]
    letters = f"letters {', '.join(scripts)}" if scripts else "no letters"
    language = f"{side.language}, " if side.language else ""
    return (
        f"{side.name.capitalize()}s: {language}{letters}; {side.distinct:,} different; characters "
        f"{side.median_characters:,} in the median, {side.longest_characters:,} at most"
    )


def _list_repetitions(overview: Overview) -> Iterator[str]:
    if found := overview.repetitions:
        if found.equal_examples:
            yield f"Train has {pluralize(found.equal_examples, 'example')} a second time"
        if found.equal_sources:
            yield f"Train has {pluralize(found.equal_sources, 'source')} again with another target"
        if found.removed_from_train:
            examples = pluralize(found.removed_from_train, "example")
            yield f"{examples} removed from train, because validation or test has them"
        for pair, count in found.between_splits.items():
            if not pair.startswith("train"):
                yield f"{pluralize(count, 'example')} in both {' and '.join(pair.split('-'))}"


def _describe_group(column: ColumnSummary) -> str:
    return (
        f"{column.name} has {column.distinct:,} values, each in several rows. If such rows belong together, they must "
        f"stay in one split: data.fields.group={column.name}"
    )
