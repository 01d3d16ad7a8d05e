"""Groups of rows: they stay in one split, and a row without a group is no group."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tuneoff.config.data import ColumnNames, FileText, SavedText
from tuneoff.data import load_text
from tuneoff.data.reading import read_rows
from tuneoff.data.rows import Rows, make_rows
from tuneoff.data.splits import Split, Splits, draw_splits
from tuneoff.errors import DataError


def make_grouped(groups: Sequence[object], start: int = 0) -> Rows:
    """Make a row for each group in the list."""
    rows = [{"source": f"s{start + i}", "target": f"t{start + i}", "doc": group} for i, group in enumerate(groups)]
    return make_rows("here", rows)


def draw(rows: dict[str, Rows], fields: dict[str, str] | None = None, **options: Any) -> Splits:
    named = {"group": "doc"} if fields is None else fields
    return draw_splits(rows, SavedText(source="saved", path="here", fields=named, **options))


def get_groups(split: Split) -> set[str]:
    return set(split.groups)


def test_splits_that_are_taken_out_of_train_share_no_group() -> None:
    splits = draw({"train": make_grouped([i // 5 for i in range(100)])}).by_name
    train, validation, test = (get_groups(splits[name]) for name in ("train", "validation", "test"))
    assert not train & test
    assert not train & validation
    assert not validation & test
    assert sum(len(split.examples) for split in splits.values()) == 100  # 10 of 100 rows are two whole groups


def test_the_rest_of_a_group_that_a_split_cuts_is_in_no_other_split() -> None:
    splits = draw({"train": make_grouped([i // 5 for i in range(100)])}, sizes={"test": 7}).by_name
    assert len(splits["test"].examples) == 7
    assert not get_groups(splits["test"]) & (get_groups(splits["validation"]) | get_groups(splits["train"]))
    assert splits["validation"].groups_removed == 3


def test_a_large_group_is_drawn_no_sooner_than_a_small_one() -> None:
    """It is in the test split in 6 of 10 draws. In the order of shuffled rows it would be there nearly always."""
    rows = {"train": make_grouped(["large"] * 30 + [str(i) for i in range(50)])}
    tests = [draw(rows, seed=seed, sizes={"test": 31}).by_name["test"] for seed in range(60)]
    assert 20 < sum("large" in test.groups for test in tests) < 50


def test_the_groups_of_given_validation_and_test_files_are_removed_from_train() -> None:
    rows = {
        "train": make_grouped(["a", "b", "c", "c"]),
        "validation": make_grouped(["b"], start=10),
        "test": make_grouped(["c", "d"], start=20),
    }
    splits = draw(rows)
    assert splits.by_name["train"].groups == ["a"]
    assert splits.by_name["train"].groups_removed == 3


def test_a_group_in_given_validation_and_test_files_is_kept_and_counted() -> None:
    rows = {
        "train": make_grouped(["a"]),
        "validation": make_grouped(["b", "b", "c"], start=10),
        "test": make_grouped(["b", "d"], start=20),
    }
    splits = draw(rows)
    assert splits.by_name["validation"].groups == ["b", "b", "c"]
    assert splits.shared_groups == {"validation-test": 2}


@pytest.mark.parametrize("missing", [None, "", "  ", float("nan")])
def test_rows_without_a_group_are_left_out_and_do_not_form_one(missing: object) -> None:
    rows = {"train": make_grouped(["a", missing, missing]), "validation": make_grouped(["b"], 10)}
    rows["test"] = make_grouped(["c", missing, "d"], 20)
    splits = draw(rows, allow_left_out=True).by_name
    assert splits["train"].groups == ["a"]
    assert splits["train"].left_out_examples == ["row 2: group is missing", "row 3: group is missing"]
    assert splits["test"].groups == ["c", "d"]


@pytest.mark.parametrize("same", [(7, "7"), (7.0, 7), ("a", " a ")])
def test_a_group_is_the_same_however_a_file_writes_it(same: tuple[object, object]) -> None:
    rows = {"train": make_grouped([same[0], "x"]), "validation": make_grouped(["y"], 10)}
    rows["test"] = make_grouped([same[1], "z"], 20)
    assert draw(rows).by_name["train"].groups == ["x"]


def test_a_group_must_be_text_or_a_number() -> None:
    rows = {"train": make_grouped([["a"], "b"]), "validation": make_grouped(["y"], 10)}
    rows["test"] = make_grouped(["c", "z"], 20)
    assert draw(rows).by_name["train"].left_out_examples == ["row 1: group is not text or a number but list: ['a']"]


def test_a_test_split_of_one_group_is_refused() -> None:
    rows = {"train": make_grouped(["a"]), "validation": make_grouped(["b"], 10), "test": make_grouped(["c", "c"], 20)}
    with pytest.raises(DataError, match=r"All 2 test examples belong to one group, 'c'.*fields\.group"):
        draw(rows)


def test_a_single_group_in_all_rows_is_refused() -> None:
    with pytest.raises(DataError, match="has no row for validation whose group is not in another split already"):
        draw({"train": make_grouped(["a"] * 50)})


def test_without_groups_the_same_rows_are_drawn_as_before_there_were_any() -> None:
    rows = make_rows("here", [{"source": f"s{i}", "target": f"t{i}"} for i in range(20)])
    splits = draw({"train": rows}, {}, sizes={"train": 3, "validation": 2, "test": 2}).by_name
    assert {name: split.rows for name, split in splits.items()} == {  # by version 0.1
        "test": [4, 19],
        "validation": [2, 6],
        "train": [3, 13, 16],
    }


@pytest.fixture
def load(options: Callable[..., FileText], write_jsonl: Any, tokenizer: Any) -> Callable[..., Any]:
    def _load(groups: Sequence[object], **fields: str) -> Any:
        rows = [{"source": f"text {i}", "target": f"answer {i}", "doc": group} for i, group in enumerate(groups)]
        limits = {"max_tokens": 60, "max_target_tokens": 20}
        return load_text(
            options(source="jsonl", files=write_jsonl("a.jsonl", rows), fields=fields, **limits), tokenizer
        )

    return _load


def test_loaded_data_has_the_group_of_every_example_and_their_number(load: Callable[..., Any]) -> None:
    data = load([i // 2 for i in range(40)], group="doc")
    assert [int(source[5:]) // 2 for source in data.test["source"]] == [int(group) for group in data.test["group"]]
    assert data.summary.splits["test"].groups == len(set(data.test["group"])) == 2


def test_other_groups_of_the_same_text_have_another_fingerprint(load: Callable[..., Any]) -> None:
    """Their intervals differ, so their records must not be mixed."""
    alone = load([str(i) for i in range(40)])
    one, other = (load([f"{name}{i // 2}" for i in range(40)], group="doc") for name in ("a", "b"))
    assert one.test["source"] == other.test["source"]
    assert len({data.summary.fingerprint for data in (alone, one, other)}) == 3


def test_a_group_column_that_is_not_there_is_refused_with_the_nearest(load: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"no column 'docs' for the group\. Did you mean 'doc'"):
        load(["a", "b"], group="docs")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("csv", "source,target,doc\na,b,1\nc,d,2\n"),
        ("tsv", "source\ttarget\tdoc\na\tb\t1\nc\td\t2\n"),
        ("json", '{"source": ["a", "c"], "target": ["b", "d"], "doc": ["1", "2"]}'),
        ("json", '[{"source": "a", "target": "b", "doc": "1"}, {"doc": "2", "source": "c", "target": "d"}]'),
    ],
)
def test_every_format_reads_the_group(
    kind: str, content: str, write: Callable[[str, str], str], options: Callable[..., FileText]
) -> None:
    rows = read_rows(options(source=kind, files=write(f"a.{kind}", content), fields={"group": "doc"}))["train"]
    assert [str(row["doc"]) for row in rows.take([0, 1])] == ["1", "2"]


def test_a_setting_without_groups_is_stored_as_before_there_were_any() -> None:
    """The ids of all earlier trials depend on it."""
    assert ColumnNames().model_dump(mode="json") == {"source": "source", "target": "target"}
