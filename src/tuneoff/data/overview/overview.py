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
from tuneoff.data.prompt import Encoder, complete_options, require_prompts
from tuneoff.data.reading import read_rows
from tuneoff.data.rows import Rows
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
    removed_as_grouped: int  # because another split has their group or their source
    na_targets: int  # that spell a missing value and are kept as text
    na_examples: tuple[str, ...]
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
    lacks_columns: bool = False  # the problem is that no columns were found for what the examples are made of
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


def build_overview(
    options: DataOptions, tokenizer: PreTrainedTokenizerBase | None = None, positions: int | None = None
) -> Overview:
    """Read the data and find out what they are.

    Args:
        tokenizer: for lengths in tokens, and for examples as the model reads them.
        positions: of the model, which no proposed limit exceeds; None: not known.

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
        columns=summarize_columns(rows["train"].own_columns, sample),
        notes=tuple(dict.fromkeys(note for of_split in rows.values() for note in of_split.notes)),
        splits={},
    )
    try:
        options, found = complete_fields(options, rows["train"])
    except DataError as error:
        return replace(overview, problem=str(error), lacks_columns=True)
    overview = replace(overview, options=options, notes=(*overview.notes, *found))
    try:
        splits = draw_splits(rows, options)
        overview = _add_examples(overview, splits)
        return _add_tokens(overview, splits, rows["train"], tokenizer, positions) if tokenizer else overview
    except DataError as error:
        return replace(overview, problem=str(error))


def _add_examples(overview: Overview, splits: Splits) -> Overview:
    everything = _list_examples(splits)
    return replace(
        overview,
        splits={name: _summarize_split(splits.by_name[name], name in overview.rows) for name in SPLITS},
        sides=(
            _summarize_side("source", [example.source for example in everything]),
            _summarize_side("target", [example.target for example in everything]),
        ),
        repetitions=_count_repetitions(splits),
        task=overview.options.task or recognize_task(splits.by_name["train"].examples),
    )


def _add_tokens(
    overview: Overview, splits: Splits, rows: Rows, tokenizer: PreTrainedTokenizerBase, positions: int | None
) -> Overview:
    train = splits.by_name["train"].examples
    kind: Task = "chat" if train[0].messages else overview.task or "prose"
    options = complete_options(overview.options, tokenizer, kind)
    require_prompts(Encoder(options, tokenizer), rows, splits.shape)
    lengths = measure_lengths(_list_examples(splits), options, tokenizer, positions)
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


def _list_examples(splits: Splits) -> list[Example]:
    return [example for name in SPLITS for example in splits.by_name[name].examples]


def _summarize_split(split: Split, is_own: bool) -> SplitOverview:
    return SplitOverview(
        examples=len(split.examples),
        left_out=split.left_out,
        left_out_examples=tuple(split.left_out_examples),
        removed_as_grouped=split.groups_removed + split.sources_removed,
        na_targets=split.na_targets,
        na_examples=tuple(split.na_examples),
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
    sources = Counter(source for source, _ in contents if source)
    return Repetitions(
        equal_examples=len(train) - len(contents),
        equal_sources=sources.total() - len(sources),
        removed_from_train=splits.by_name["train"].duplicates_removed,
        between_splits={pair: count for pair, count in splits.duplicates.items() if count},
    )
