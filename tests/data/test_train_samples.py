"""The train samples of replicates."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data import load_text
from tuneoff.data.pools import BLOCK_ROWS, MOST_ORDERED_ROWS
from tuneoff.data.rows import make_rows
from tuneoff.data.shapes.recognize import MOST_READ, PROBED_ROWS
from tuneoff.data.splits import draw_splits
from tuneoff.data.train_samples import draw_train_samples
from tuneoff.errors import DataError


def draw(rows, size, numbers, sizes=None, **options):
    """Draw samples out of rows, of which the test and the validation split take one each unless `sizes` says."""
    sizes = {"validation": 1, "test": 1, **(sizes or {}), "train": size}
    data = {"train": make_pairs(rows)}
    splits = draw_splits(data, TextOptions(sizes=sizes, **options))
    return splits, draw_train_samples(splits.by_name["train"], splits.more_train, size, numbers, seed=0)


def make_pairs(pairs):
    return make_rows("here", [{"source": source, "target": target} for source, target in pairs])


def list_pairs(drawn):
    return {number: [example.content for example in examples] for number, examples in drawn.examples.items()}


def number_rows(count):
    return [(f"s{i}", f"t{i}") for i in range(count)]


def test_samples_have_their_size_and_no_example_twice():
    _, drawn = draw(number_rows(26), 5, range(1, 30))
    assert all(len(set(pairs)) == len(pairs) == 5 for pairs in list_pairs(drawn).values())


def test_no_sample_has_an_example_of_validation_or_test():
    rows = [*number_rows(40), *number_rows(40)]  # each text twice, so that a copy could come into train
    splits, drawn = draw(rows, 5, range(1, 20), {"validation": 4, "test": 4})
    evaluated = {e.content for name in ("validation", "test") for e in splits.by_name[name].examples}
    assert not evaluated & set(itertools.chain(*list_pairs(drawn).values()))


def test_rows_without_text_are_in_no_sample():
    rows = [(source, "" if i % 2 else target) for i, (source, target) in enumerate(number_rows(60))]
    _, drawn = draw(rows, 5, [1, 2, 3])
    assert all(target for pairs in list_pairs(drawn).values() for _, target in pairs)


def test_the_sample_zero_is_the_train_split():
    splits, drawn = draw(number_rows(60), 10, [0, 1])
    assert drawn.examples[0] == splits.by_name["train"].examples


def test_samples_share_no_example_while_the_examples_last():
    splits, drawn = draw(number_rows(62), 10, [1, 2, 3, 4, 5])
    seen = [*(e.content for e in splits.by_name["train"].examples), *itertools.chain(*list_pairs(drawn).values())]
    assert len(set(seen)) == 60
    assert (drawn.overlap, drawn.pool_examples) == (0.0, None)


def test_samples_that_overlap_say_by_how_much():
    _, drawn = draw(number_rows(22), 10, range(1, 9))
    pairs = list(itertools.combinations(map(set, list_pairs(drawn).values()), 2))
    assert drawn.overlap == pytest.approx(sum(len(a & b) for a, b in pairs) / len(pairs) / 10)
    assert drawn.overlap == pytest.approx(0.5, abs=0.1)  # half of the pool
    assert drawn.pool_examples == 20


def test_a_share_of_common_examples_makes_the_variance_between_samples_that_much_smaller():
    """The score of a sample is the mean of its examples here, and the populations are drawn anew each time."""
    _, drawn = draw(number_rows(27), 10, range(1, 6))
    positions = {pair: i for i, pair in enumerate(number_rows(27))}
    samples = np.array([[positions[pair] for pair in pairs] for pairs in list_pairs(drawn).values()])
    scores = np.random.default_rng(0).normal(size=(20_000, 27))[:, samples].mean(axis=2)
    variance = scores.var(axis=1, ddof=1).mean()
    assert 0.2 < drawn.overlap < 0.5
    assert variance == pytest.approx((1 - drawn.overlap) / 10, rel=0.03)


def test_every_example_is_drawn_about_as_often():
    _, drawn = draw(number_rows(27), 6, range(1, 400))
    counts = [sum(pair in pairs for pairs in list_pairs(drawn).values()) for pair in number_rows(27)]
    drawn_counts = [count for count in counts if count]
    assert len(drawn_counts) == 25
    assert max(drawn_counts) - min(drawn_counts) < 40  # 96 on average


@pytest.mark.parametrize("rows", [26, 200])
def test_a_sample_does_not_depend_on_how_many_there_are(rows):
    few, many = (draw(number_rows(rows), 5, range(1, count))[1].examples for count in (4, 20))
    assert all(many[number] == few[number] for number in few)


def test_only_the_rows_that_are_needed_are_read():
    read = []
    rows = make_pairs(number_rows(MOST_ORDERED_ROWS + 1))
    counting = replace(rows, take=lambda some: read.extend(some) or rows.take(some))
    options = TextOptions(sizes={"train": 100, "validation": 1, "test": 1})
    splits = draw_splits({"train": counting}, options)
    draw_train_samples(splits.by_name["train"], splits.more_train, 100, [1, 2, 3], seed=0)
    assert len(read) <= BLOCK_ROWS + PROBED_ROWS + MOST_READ


@pytest.mark.parametrize(("size", "cure"), [(11, "10"), (1000, "10")])
def test_too_few_examples_for_different_samples_are_refused_with_the_largest_size(size, cure):
    with pytest.raises(DataError, match=rf"there are 20 examples for train.* Lower data.sizes.train to {cure} or less"):
        draw(number_rows(22), size, [1, 2])


@pytest.fixture
def load(options, write_jsonl, tokenizer):
    def _load(rows, replicates, **values):
        written = {
            "max_tokens": 60,
            "max_target_tokens": 20,
            "sizes": {"train": 4, "validation": 2, "test": 2},
        } | values
        return load_text(options(source="jsonl", files=write_jsonl("a.jsonl", rows), **written), tokenizer, replicates)

    return _load


def test_replicates_do_not_change_the_splits_or_their_fingerprint(load, rows):
    plain, replicated = load(rows(0, 30), ()), load(rows(0, 30), (1, 2))
    assert plain.summary == replicated.summary.model_copy(update={"train_samples": None})
    assert plain.train["tokens"] == replicated.train["tokens"]


def test_a_changed_row_of_a_sample_changes_the_fingerprint_of_that_sample_alone(load, rows):
    before = load(rows(0, 30), (1, 2))
    source = before.train_samples[before.summary.train_samples.fingerprints[2]]["source"][0]
    edited = [row | {"target": "other"} if row["source"] == source else row for row in rows(0, 30)]
    fingerprints = [load(some, (1, 2)).summary.train_samples.fingerprints for some in (rows(0, 30), edited)]
    assert fingerprints[0][1] == fingerprints[1][1]
    assert fingerprints[0][2] != fingerprints[1][2]
    assert load(edited, (1, 2)).summary.fingerprint == before.summary.fingerprint
