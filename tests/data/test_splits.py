import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data.rows import make_rows
from tuneoff.data.splits import draw_splits
from tuneoff.errors import DataError


def make_pairs(pairs, place="here"):
    return make_rows(place, [{"source": source, "target": target} for source, target in pairs])


def make_some(start, stop):
    return make_pairs([(f"s{i}", f"t{i}") for i in range(start, stop)])


def list_numbers(split):
    return [int(example.source[1:]) for example in split.examples]


def draw(rows, **options):
    return draw_splits(rows, TextOptions(**options)).by_name


def test_existing_splits_are_complete_and_in_order():
    splits = draw({"train": make_some(0, 5), "validation": make_some(5, 7), "test": make_some(7, 9)})
    assert [list_numbers(splits[name]) for name in ("train", "validation", "test")] == [[0, 1, 2, 3, 4], [5, 6], [7, 8]]


def test_missing_splits_are_taken_out_of_train_and_share_nothing():
    splits = draw({"train": make_some(0, 50)})
    assert sorted(number for split in splits.values() for number in list_numbers(split)) == list(range(50))


def test_a_missing_split_takes_its_fraction_of_train():
    splits = draw({"train": make_some(0, 50)}, fractions={"validation": 0.2})
    assert {name: len(split.examples) for name, split in splits.items()} == {"test": 5, "validation": 10, "train": 35}


def test_a_missing_split_takes_its_size_if_it_has_one():
    splits = draw({"train": make_some(0, 50)}, sizes={"validation": 3, "train": 7})
    assert {name: len(split.examples) for name, split in splits.items()} == {"test": 5, "validation": 3, "train": 7}


def test_a_sample_keeps_the_order_of_the_data():
    train = list_numbers(draw({"train": make_some(0, 100)}, sizes={"train": 20})["train"])
    assert train == sorted(train)


def test_a_smaller_sample_is_part_of_a_larger_one():
    small, large = (set(list_numbers(draw({"train": make_some(0, 99)}, sizes={"train": n})["train"])) for n in (5, 20))
    assert small < large


def test_the_seed_decides_the_sample():
    first, again, other = (list_numbers(draw({"train": make_some(0, 99)}, seed=seed)["test"]) for seed in (0, 0, 1))
    assert first == again != other


def test_rows_without_text_are_counted_and_the_first_three_listed():
    rows = make_pairs([("a", "b"), ("", "b"), ("a", b"5"), ("a", None), ("", "")])
    splits = draw({"train": rows, "validation": make_some(0, 1), "test": make_some(1, 2)}, allow_left_out=True)
    train = splits["train"]
    assert (train.left_out, train.left_out_examples) == (
        4,
        ["row 2: source is empty", "row 3: target is not text but bytes: b'5'", "row 4: target is missing"],
    )


def test_a_size_counts_usable_rows():
    rows = make_pairs([("", "")] * 20 + [(f"s{i}", "t") for i in range(5)])
    data = {"train": rows, "validation": make_some(10, 11), "test": make_some(11, 12)}
    splits = draw(data, sizes={"train": 5}, allow_left_out=True)
    assert list_numbers(splits["train"]) == [0, 1, 2, 3, 4]


def test_examples_of_test_and_validation_are_removed_from_train():
    splits = draw({"train": make_some(0, 9), "validation": make_some(0, 2), "test": make_some(1, 4)})
    assert (list_numbers(splits["train"]), splits["train"].duplicates_removed) == ([4, 5, 6, 7, 8], 4)


def test_duplicates_are_counted_for_each_pair_of_splits():
    rows = {"train": make_some(0, 9), "validation": make_some(0, 2), "test": make_some(1, 4)}
    splits = draw_splits(rows, TextOptions())
    assert splits.duplicates == {"validation-test": 1, "train-validation": 2, "train-test": 3}


def test_duplicates_are_found_after_cleaning():
    rows = {"train": make_pairs([("a  b", "c"), ("d", "e")]), "validation": make_some(0, 1)}
    rows["test"] = make_pairs([("a b ", "c")])
    assert [example.content for example in draw(rows, clean={"whitespace": True})["train"].examples] == [("d", "e")]


def test_validation_keeps_examples_that_are_in_test_too():
    splits = draw({"train": make_some(0, 9), "validation": make_some(10, 12), "test": make_some(10, 12)})
    assert list_numbers(splits["validation"]) == [10, 11]


def test_without_a_usable_row_the_error_lists_the_first_reasons():
    rows = make_pairs([("a", b"1"), ("a", b"2")], "a.jsonl")
    with pytest.raises(
        DataError, match=r"a\.jsonl has no usable row for train: 2 left out \(row 1: .*Check data\.fields"
    ):
        draw({"train": rows, "validation": make_some(0, 1), "test": make_some(1, 2)})


def test_too_few_rows_for_three_splits_are_refused():
    with pytest.raises(DataError, match="too few rows: 2, and none remains for train"):
        draw({"train": make_some(0, 2)})


def test_a_train_split_with_only_duplicates_is_refused():
    with pytest.raises(DataError, match="only rows for train that are in validation or test too"):
        draw({"train": make_some(0, 2), "validation": make_some(0, 1), "test": make_some(1, 2)})
