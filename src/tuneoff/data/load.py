"""Loading the data of a recipe: rows, splits, tokens and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tuneoff.config.data import DataOptions
from tuneoff.data.prompt import Encoder, choose_kind, complete_options, require_prompts
from tuneoff.data.reading import read_rows
from tuneoff.data.shapes.recognize import Answers, list_answers
from tuneoff.data.splits import SPLITS, Split, Splits, draw_splits
from tuneoff.data.statistics import (
    DataSummary,
    TrainSamples,
    compute_fingerprint,
    describe_languages,
    find_unseen_labels,
    summarize,
)
from tuneoff.data.tokens import compute_encoding_key, tokenize
from tuneoff.data.train_samples import draw_train_samples
from tuneoff.data.unanswered import name_shape

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class TextData:
    """The three splits, tokenized, and their statistics.

    Each split has the columns source, target and references (text), row (the columns of the data as JSON), those of
    `Encoder.encode`, and group if rows have one.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    summary: DataSummary
    options: DataOptions  # completed: with the template and the date that were used
    ends: tuple[int, ...] = ()  # the tokens that end an answer
    stops: tuple[str, ...] = ()  # strings that end an answer, because the prompt shows answers that end so
    answers: Answers = frozenset()  # where the answers are, which a prompt must not show
    train_samples: Mapping[str, Dataset] = field(default_factory=dict)  # of replicates, by fingerprint


def load_text(options: DataOptions, tokenizer: PreTrainedTokenizerBase, replicates: Sequence[int] = ()) -> TextData:
    """Load and tokenize the data of a recipe. Equal arguments give equal examples.

    Args:
        replicates: the seeds of replicates, each of which gets a train sample of its own.

    Raises:
        DataError: the data cannot be reached, read or used, or the limits are too small for the template.
    """
    rows = read_rows(options)
    splits = draw_splits(rows, options)
    examples = splits.by_name["train"].examples
    options = complete_options(options, tokenizer, choose_kind(options, examples))
    options = name_shape(options, splits.shape)
    encoder = Encoder(options, tokenizer)
    require_prompts(encoder, rows["train"], splits.shape)
    encoding = compute_encoding_key(encoder)
    read = {
        name: replace(split, examples=encoder.cut_documents(split.examples)) for name, split in splits.by_name.items()
    }
    tokens = {}
    for name, split in read.items():
        name_row = _make_row_names(rows.get(name, rows["train"]).place, split)
        tokens[name] = _add_groups(tokenize(split.examples, encoder, encoding, name_row), split)
    summary = DataSummary(
        fingerprint=compute_fingerprint(tokens),
        splits={name: summarize(read[name], tokens[name]) for name in SPLITS},
        duplicates=dict(splits.duplicates),
        shared_groups=dict(splits.shared_groups),
        task=options.task,
        shared_sources=dict(splits.shared_sources),
        groups_by_source=splits.groups_by_source,
        unseen_labels=find_unseen_labels(examples, splits.by_name["test"].examples) if options.task == "labels" else [],
        languages=describe_languages(examples),
        shape=splits.shape.describe(),
        shape_recognized=splits.shape.is_recognized,
        notes=list(dict.fromkeys(note for of_split in rows.values() for note in of_split.notes)),
    )
    data = TextData(
        train=tokens["train"],
        validation=tokens["validation"],
        test=tokens["test"],
        summary=summary,
        options=options,
        ends=encoder.ends,
        answers=list_answers(rows["train"], splits.shape),
    )
    return _add_train_samples(data, splits, options, replicates, encoder, encoding) if replicates else data


def _make_row_names(place: str, split: Split) -> Callable[[int], str]:
    """Return a function that names the row of an example. A piece of a long text has none of its own."""
    has_rows = len(split.rows) == len(split.examples)
    return lambda position: f"{place}, row {split.rows[position] + 1}: " if has_rows else f"{place}: "


def _add_groups(dataset: Dataset, split: Split) -> Dataset:
    """Add the groups as a column. They are not in the cache of tokens, because no token depends on them."""
    return dataset.add_column("group", split.groups) if split.groups else dataset


def _add_train_samples(
    data: TextData, splits: Splits, options: DataOptions, replicates: Sequence[int], encoder: Encoder, encoding: str
) -> TextData:
    size = options.sizes.train
    assert size is not None, "a recipe with replicates has a size for train"
    drawn = draw_train_samples(splits.by_name["train"], splits.more_train, size, replicates, options.seed)
    datasets = {
        number: tokenize(encoder.cut_documents(examples), encoder, encoding)
        for number, examples in drawn.examples.items()
    }
    fingerprints = {number: compute_fingerprint({"train": dataset}) for number, dataset in datasets.items()}
    samples = TrainSamples(
        fingerprints=fingerprints, examples=size, pool_examples=drawn.pool_examples, overlap=drawn.overlap
    )
    return replace(
        data,
        summary=data.summary.model_copy(update={"train_samples": samples}),
        train_samples={fingerprints[number]: dataset for number, dataset in datasets.items()},
    )
