"""What a user's data are, before anything is trained: files, columns, examples, languages, lengths and repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tuneoff.config.data import DataOptions, Task, get_fields
from tuneoff.data.example import Example
from tuneoff.data.languages import find_language, find_scripts
from tuneoff.data.overview.columns import ColumnSummary, sample_rows, summarize_columns
from tuneoff.data.overview.fields import complete_fields
from tuneoff.data.overview.lengths import Lengths, measure_lengths
from tuneoff.data.overview.rendered import RenderedExample, render_examples
from tuneoff.data.prompt import complete_options
from tuneoff.data.reading import read_rows
from tuneoff.data.splits import SPLITS, Split, Splits, draw_splits
from tuneoff.data.task import recognize_task
from tuneoff.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RENDERED_EXAMPLES = 3
RENDERED_CHARACTERS = 4_000  # examples up to this length are preferred


@dataclass(frozen=True, kw_only=True)
class Side:
    """The texts of one side of the examples: sources, or targets."""

    name: str
    scripts: Mapping[str, float]  # share of the letters
    language: str | None  # None: not clear
    distinct: int  # different texts
    median_characters: int
    longest_characters: int


@dataclass(frozen=True, kw_only=True)
class Repetitions:
    """Texts that occur more than once."""

    equal_examples: int  # of train, beyond the first of each
    equal_sources: int  # of train, beyond the first of each, with another target
    removed_from_train: int  # because validation or test has them
    between_splits: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class SplitOverview:
    """The rows of one split, and what became of them."""

    examples: int
    left_out: int
    left_out_examples: tuple[str, ...]
    is_own: bool  # the data has this split; otherwise it is taken out of train


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What was found. Without examples, `problem` says why."""

    options: DataOptions  # with the columns that were found
    files: tuple[str, ...]  # what each file was recognized as
    rows: Mapping[str, int]  # by split of the data
    sampled_rows: int  # from which the columns are summarized
    columns: tuple[ColumnSummary, ...]
    notes: tuple[str, ...]
    problem: str = ""
    task: Task | None = None  # what the examples are about
    splits: Mapping[str, SplitOverview]
    sides: tuple[Side, ...] = ()
    repetitions: Repetitions | None = None
    prompt: str = ""  # the template that is used; empty without a tokenizer
    lengths: Lengths | None = None  # None: without a tokenizer
    rendered: tuple[RenderedExample, ...] = ()

    @property
    def group_candidates(self) -> list[ColumnSummary]:
        """Columns whose equal values may mark rows that belong together."""
        fields = get_fields(self.options)
        used = {name.casefold() for name in fields.names}
        return [c for c in self.columns if c.name.casefold() not in used and c.may_name_groups(self.sampled_rows)]


def build_overview(options: DataOptions, tokenizer: PreTrainedTokenizerBase | None = None) -> Overview:
    """Read the data and find out what they are.

    Args:
        tokenizer: for lengths in tokens, and for examples as the model reads them.

    Raises:
        DataError: the data cannot be read. Rows that are no examples are no error, but `Overview.problem`.
    """
    rows = read_rows(options)
    sample = sample_rows(rows["train"])
    overview = Overview(
        options=options,
        files=tuple(dict.fromkeys(file for of_split in rows.values() for file in of_split.files)),
        rows={name: of_split.count for name, of_split in rows.items()},
        sampled_rows=len(sample),
        columns=summarize_columns(rows["train"].columns, sample),
        notes=tuple(dict.fromkeys(note for of_split in rows.values() for note in of_split.notes)),
        splits={},
    )
    try:
        options, found = complete_fields(options, rows["train"])
        overview = replace(overview, options=options, notes=(*overview.notes, *found))
        return _add_examples(overview, draw_splits(rows, options), tokenizer)
    except DataError as error:
        return replace(overview, problem=str(error))


def _add_examples(overview: Overview, splits: Splits, tokenizer: PreTrainedTokenizerBase | None) -> Overview:
    train = splits.by_name["train"].examples
    everything = [example for name in SPLITS for example in splits.by_name[name].examples]
    overview = replace(
        overview,
        splits={name: _summarize_split(splits.by_name[name], name in overview.rows) for name in SPLITS},
        sides=(
            _summarize_side("source", [example.source for example in everything]),
            _summarize_side("target", [example.target for example in everything]),
        ),
        repetitions=_count_repetitions(splits),
        task=overview.options.task or recognize_task(train),
    )
    if tokenizer is None:
        return overview
    kind: Task = "chat" if train[0].messages else overview.task or "prose"
    options = complete_options(overview.options, tokenizer, kind)
    lengths = measure_lengths(everything, options, tokenizer)
    short = [example for example in train if len(example.source) + len(example.target) <= RENDERED_CHARACTERS]
    shown = (short or train)[:RENDERED_EXAMPLES]
    if lengths and not {"max_tokens", "max_target_tokens"} & options.model_fields_set:
        limits = {"max_tokens": lengths.max_tokens, "max_target_tokens": lengths.max_target_tokens}
        options = options.model_copy(update={name: limit for name, limit in limits.items() if limit is not None})
    return replace(
        overview,
        prompt=options.prompt or "",
        lengths=lengths,
        rendered=render_examples(shown, options, tokenizer),
    )


def _summarize_split(split: Split, is_own: bool) -> SplitOverview:
    return SplitOverview(
        examples=len(split.examples),
        left_out=split.left_out,
        left_out_examples=tuple(split.left_out_examples),
        is_own=is_own,
    )


def _summarize_side(name: str, texts: Sequence[str]) -> Side:
    lengths = sorted(map(len, texts))
    return Side(
        name=name,
        scripts=find_scripts(texts),
        language=find_language(texts),
        distinct=len(set(texts)),
        median_characters=lengths[len(lengths) // 2],
        longest_characters=lengths[-1],
    )


def _count_repetitions(splits: Splits) -> Repetitions:
    train: Sequence[Example] = splits.by_name["train"].examples
    contents = Counter(example.content for example in train)
    sources = Counter(source for source, _ in contents)
    return Repetitions(
        equal_examples=len(train) - len(contents),
        equal_sources=len(contents) - len(sources),
        removed_from_train=splits.by_name["train"].duplicates_removed,
        between_splits={pair: count for pair, count in splits.duplicates.items() if count},
    )
