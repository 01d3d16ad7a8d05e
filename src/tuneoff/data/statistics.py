"""Statistics of the data: how many examples and tokens, how many rows were left out, and how many texts were cut."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.data import Task
from tuneoff.data.example import Example
from tuneoff.data.languages import find_language, find_scripts
from tuneoff.data.splits import Split, SplitName

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset


class SplitSummary(Options):
    """Statistics of one split."""

    examples: int
    left_out: int  # rows without usable text that were drawn
    left_out_examples: list[str]  # the first of these rows, with their reasons
    duplicates_removed: int  # rows of train that are in validation or test too
    source_cut_share: float  # share of the examples whose source was cut
    target_cut_share: float
    tokens: int  # prompts, targets and EOS, without padding
    target_tokens: int  # that the loss scores: answers with the tokens that end them
    longest_tokens: int  # the longest example
    median_tokens: float
    groups: int | None = None  # different groups of the examples; None: every example is on its own
    groups_removed: int = 0  # rows left out because their group is in another split
    cut_shares: dict[str, float] = Field(default_factory=dict)  # of the examples that lost a part of a column
    sources_removed: int = 0  # rows left out because their source, or the document it is about, is in another split
    repeated: int = 0  # examples that are equal to an earlier one of the split
    na_targets: int = 0  # examples whose target spells a missing value, such as NA
    na_examples: list[str] = Field(default_factory=list)  # the first of these
    near_duplicates: int = 0  # of train, that are nearly in validation or test
    near_checked: int = 0  # examples of train that were compared with validation and test; 0: none, or an older run

    near_indexed: int = 0  # examples of test and validation that they were compared with, those of test first
    distinct_sources: int | None = None  # different texts; None: a run of an older version
    distinct_prompts: int | None = None  # different sequences of tokens

    @property
    def left_out_share(self) -> float:
        """The share of the rows drawn that were no usable examples."""
        return self.left_out / (self.left_out + self.examples) if self.left_out else 0.0


class TrainSamples(Options):
    """The train samples of replicates."""

    fingerprints: dict[int, str]  # of the texts and tokens of each sample, by the seed of its replicate
    examples: int  # in each
    pool_examples: int | None  # that were drawn from; None: more than the samples needed
    overlap: float  # share of the examples of a sample that another one has too, mean over all pairs of samples


class DataSummary(Options):
    """Statistics of the splits, and a hash that is equal if and only if the examples are."""

    fingerprint: str  # of the texts and tokens of all splits, 16 hex digits
    splits: dict[str, SplitSummary]
    duplicates: dict[str, int]  # examples that two splits share, before they are removed from train: {"train-test": 2}
    shared_groups: dict[str, int] = Field(default_factory=dict)  # examples whose group two splits share, and keep
    train_samples: TrainSamples | None = None  # None: there is one train sample, the train split
    shared_sources: dict[str, int] = Field(default_factory=dict)  # rows whose source another split has, with another
    # target: {"train-test": 2}; those of train are removed unless the recipe says otherwise
    unseen_labels: list[str] = Field(default_factory=list)  # of test, if the targets are labels, that train lacks
    languages: dict[str, str] = Field(default_factory=dict)  # languages or scripts of "source" and "target"
    groups_by_source: bool = False  # the groups are those of equal sources, and not of a column
    shape: str | None = None  # what a row is made of, with the columns; None: a run of an older version
    shape_recognized: bool = False  # and not named in the recipe
    notes: list[str] = Field(default_factory=list)  # what was assumed about the files
    task: Task = "prose"  # what the examples are about, which decides the default metrics


def find_unseen_labels(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """Return the targets of the test split that no example of train has, in the order of the data."""
    known = {example.target for example in train}
    return list(dict.fromkeys(example.target for example in test if example.target not in known))


def describe_languages(examples: Sequence[Example]) -> dict[str, str]:
    """Return the language of the sources and of the targets, or the script of most letters if it is not clear."""
    texts = {"source": [e.source for e in examples], "target": [e.target for e in examples]}
    named = {side: find_language(some) or next(iter(find_scripts(some)), None) for side, some in texts.items()}
    return {side: name for side, name in named.items() if name is not None}


def summarize(split: Split, dataset: Dataset) -> SplitSummary:
    """Compute the statistics of a split from the rows drawn and their tokens."""
    import numpy as np

    lengths = np.array(count_tokens(dataset))
    return SplitSummary(
        examples=len(dataset),
        left_out=split.left_out,
        left_out_examples=split.left_out_examples,
        duplicates_removed=split.duplicates_removed,
        source_cut_share=_compute_share(dataset, "source_cut"),
        target_cut_share=_compute_share(dataset, "target_cut"),
        tokens=int(lengths.sum()),
        target_tokens=sum(count_scored(dataset)),
        longest_tokens=int(lengths.max()),
        median_tokens=float(np.median(lengths)),
        groups=len(set(split.groups)) or None,
        groups_removed=split.groups_removed,
        cut_shares=_compute_cut_shares(dataset),
        sources_removed=split.sources_removed,
        repeated=split.repeated,
        na_targets=split.na_targets,
        na_examples=split.na_examples,
        near_duplicates=split.near_duplicates,
        near_checked=split.near_checked,
        near_indexed=split.near_indexed,
        distinct_sources=len({example.source for example in split.examples}),
        distinct_prompts=_count_prompts(dataset),
    )


def count_tokens(dataset: Dataset) -> list[int]:
    """Return the number of tokens of every example: prompt, target and EOS."""
    return [length for lengths, _ in _read_lists(dataset, "tokens") for length in lengths.tolist()]


def count_scored(dataset: Dataset) -> list[int]:
    """Return the number of tokens of every example that the loss scores: the answers with the tokens that end them."""
    if "scored" not in dataset.column_names:
        return [length - start for length, start in zip(count_tokens(dataset), dataset["prompt_tokens"], strict=True)]
    import numpy as np

    return [
        int(marks.sum())
        for lengths, scored in _read_lists(dataset, "scored")
        for marks in np.split(scored, lengths.cumsum()[:-1])
    ]


def _compute_share(dataset: Dataset, column: str) -> float:
    """Return the share of the rows in which a column of booleans is true, read at once: row by row takes long."""
    return float(dataset.select_columns([column]).with_format("numpy")[:][column].mean())


def _count_prompts(dataset: Dataset) -> int:
    """Return how many different prompts there are, by their tokens."""
    import numpy as np

    different: set[bytes] = set()
    starts = iter(dataset.select_columns(["prompt_tokens"]).with_format("numpy")[:]["prompt_tokens"])
    for lengths, tokens in _read_lists(dataset, "tokens"):
        rows = np.split(tokens, lengths.cumsum()[:-1])
        different.update(hashlib.sha256(row[: next(starts)].tobytes()).digest()[:8] for row in rows)
    return len(different)


def _compute_cut_shares(dataset: Dataset) -> dict[str, float]:
    blocks = dataset.select_columns(["cut"]).with_format("arrow").iter(batch_size=1000)
    counts = Counter(name for table in blocks for name in table.column("cut").combine_chunks().flatten().to_pylist())
    return {name: count / len(dataset) for name, count in counts.most_common()}


def compute_fingerprint(splits: Mapping[SplitName, Dataset]) -> str:
    """Hash the texts, tokens and groups of all splits in their order. Returns 16 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        dataset = splits[name]
        digest.update(f"{name} {len(dataset)}".encode())
        for block in dataset.select_columns(["source", "target", "references", "prompt_tokens"]).iter(batch_size=1000):
            digest.update(json.dumps(block).encode())
        if "group" in dataset.column_names:
            digest.update(json.dumps(dataset.select_columns(["group"])[:]["group"]).encode())
        for lengths, tokens in _read_lists(dataset, "tokens"):
            digest.update(lengths.astype("<i8").tobytes())
            digest.update(tokens.astype("<i8").tobytes())
        if "scored" in dataset.column_names:
            for _, scored in _read_lists(dataset, "scored"):
                digest.update(scored.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def _read_lists(dataset: Dataset, name: str) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield the lengths and the concatenated items of a column in blocks, directly from the Arrow file."""
    for table in dataset.select_columns([name]).with_format("arrow").iter(batch_size=1000):
        column = table.column(name).combine_chunks()
        yield column.value_lengths().to_numpy(), column.flatten().to_numpy(zero_copy_only=False)
