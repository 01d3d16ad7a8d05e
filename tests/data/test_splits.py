import pytest

from tuneoff.config.data import TextOptions
from tuneoff.data.rows import make_rows
from tuneoff.data.splits import draw_splits
from tuneoff.errors import DataError


def some(start, stop):
    return make_rows("here", [(f"s{i}", f"t{i}") for i in range(start, stop)])


def numbers(split):
    return [int(source[1:]) for source, _ in split.pairs]


def drawn(rows, **written):
    return draw_splits(rows, TextOptions(**written)).by_name


def test_splits_that_are_there_are_taken_whole_and_in_order():
    splits = drawn({"train": some(0, 5), "validation": some(5, 7), "test": some(7, 9)})
    assert [numbers(splits[name]) for name in ("train", "validation", "test")] == [[0, 1, 2, 3, 4], [5, 6], [7, 8]]


def test_missing_splits_are_made_out_of_train_and_share_nothing():
    splits = drawn({"train": some(0, 50)})
    assert sorted(number for split in splits.values() for number in numbers(split)) == list(range(50))


def test_a_made_split_takes_its_fraction_of_train():
    splits = drawn({"train": some(0, 50)}, fractions={"validation": 0.2})
    assert {name: len(split.pairs) for name, split in splits.items()} == {"test": 5, "validation": 10, "train": 35}


def test_a_made_split_takes_its_size_where_one_is_given():
    splits = drawn({"train": some(0, 50)}, sizes={"validation": 3, "train": 7})
    assert {name: len(split.pairs) for name, split in splits.items()} == {"test": 5, "validation": 3, "train": 7}


def test_a_sample_keeps_the_order_of_the_data():
    train = numbers(drawn({"train": some(0, 100)}, sizes={"train": 20})["train"])
    assert train == sorted(train)


def test_a_smaller_sample_is_part_of_a_larger_one():
    small, large = (set(numbers(drawn({"train": some(0, 99)}, sizes={"train": n})["train"])) for n in (5, 20))
    assert small < large


def test_the_seed_decides_the_sample():
    first, again, other = (numbers(drawn({"train": some(0, 99)}, seed=seed)["test"]) for seed in (0, 0, 1))
    assert first == again != other


def test_rows_without_text_are_left_out_counted_and_the_first_three_told():
    rows = make_rows("here", [("a", "b"), ("", "b"), ("a", 5), ("a", None), ("", "")])
    train = drawn({"train": rows, "validation": some(0, 1), "test": some(1, 2)})["train"]
    assert (train.left_out, train.left_out_examples) == (
        4,
        ["row 2: source is empty", "row 3: target is not text but int: 5", "row 4: target is missing"],
    )


def test_a_size_counts_usable_rows():
    rows = make_rows("here", [("", "")] * 20 + [(f"s{i}", "t") for i in range(5)])
    splits = drawn({"train": rows, "validation": some(0, 1), "test": some(1, 2)}, sizes={"train": 5})
    assert numbers(splits["train"]) == [0, 1, 2, 3, 4]


def test_train_loses_what_test_and_validation_hold():
    splits = drawn({"train": some(0, 9), "validation": some(0, 2), "test": some(1, 4)})
    assert (numbers(splits["train"]), splits["train"].duplicates_removed) == ([4, 5, 6, 7, 8], 4)


def test_duplicates_are_counted_for_each_pair_of_splits():
    splits = draw_splits({"train": some(0, 9), "validation": some(0, 2), "test": some(1, 4)}, TextOptions())
    assert splits.duplicates == {"validation-test": 1, "train-validation": 2, "train-test": 3}


def test_duplicates_are_found_after_cleaning():
    rows = {"train": make_rows("here", [("a  b", "c"), ("d", "e")]), "validation": some(0, 1)}
    rows["test"] = make_rows("there", [("a b ", "c")])
    assert drawn(rows)["train"].pairs == [("d", "e")]


def test_validation_keeps_what_test_holds_too():
    assert numbers(drawn({"train": some(0, 9), "validation": some(10, 12), "test": some(10, 12)})["validation"])


def test_without_any_usable_row_the_first_reasons_are_told():
    rows = make_rows("a.jsonl", [("a", 1), ("a", 2)])
    with pytest.raises(DataError, match=r"a\.jsonl has no usable row for train: 2 left out \(row 1: .*as text"):
        drawn({"train": rows, "validation": some(0, 1), "test": some(1, 2)})


def test_train_must_keep_something_once_the_others_have_theirs():
    with pytest.raises(DataError, match="too few rows: 2, and none is left for train"):
        drawn({"train": some(0, 2)})


def test_train_must_hold_something_that_the_others_do_not():
    with pytest.raises(DataError, match="nothing for train that validation or test does not hold too"):
        drawn({"train": some(0, 2), "validation": some(0, 1), "test": some(1, 2)})
