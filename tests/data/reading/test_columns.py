"""Columns are found by name, by name in another case, and by a path to a nested value."""

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from tuneoff.data.reading import Column, find_column, read_rows
from tuneoff.data.rows import convert_dataset, join_rows, make_rows
from tuneoff.errors import DataError


@pytest.mark.parametrize(
    ("name", "columns", "found"),
    [
        ("text", ["Text", "text"], Column("text")),
        ("text", ["Text"], Column("Text")),
        (" Text ", ["text"], Column("text")),
        ("text", ["label"], None),
        ("meta.a", ["meta"], Column("meta", ("a",))),
        ("meta.a", ["meta", "meta.a"], Column("meta.a")),
        ("meta.a.b", ["meta.a"], Column("meta.a", ("b",))),
        ("meta.", ["meta"], None),
        ("STRASSE", ["Straße"], Column("Straße")),
    ],
)
def test_a_column_is_found(name, columns, found):
    assert find_column(name, columns) == found


def test_columns_that_differ_in_case_are_ambiguous():
    with pytest.raises(
        DataError, match=r"a\.csv has no column 'text', and several that differ only in case: 'Text', 'TE"
    ):
        find_column("text", ["Text", "TEXT"], "a.csv")


def test_another_case_in_the_header_is_read(read_dicts):
    assert read_dicts("a.csv", "Source,TARGET\na,b\n")[0] == {
        "Source": "a",
        "TARGET": "b",
        "source": "a",
        "target": "b",
    }


def test_nested_values_of_json_are_read(read_dicts):
    fields = {"source": "meta.text", "target": "answers.0"}
    row = read_dicts("a.jsonl", '{"meta": {"text": "a"}, "answers": ["b", "c"]}', fields=fields)[0]
    assert (row["meta.text"], row["answers.0"]) == ("a", "b")


def test_nested_values_of_parquet_are_read(tmp_path, options):
    Dataset.from_list([{"meta": {"a": "x"}, "target": "b"}]).to_parquet(tmp_path / "a.parquet")
    read = options(source="files", files=str(tmp_path / "a.parquet"), fields={"source": "meta.a"})
    assert read_rows(read)["train"].take([0])[0]["meta.a"] == "x"


def test_a_nested_value_that_no_row_has_is_refused_with_those_that_are_there(read_dicts):
    with pytest.raises(DataError, match=r"none of its first 1 rows has 'meta\.txt'\. Did you mean 'text'\?"):
        read_dicts("a.jsonl", '{"meta": {"text": "a"}}', fields={"source": "meta.txt"})


def test_a_nested_value_that_only_some_rows_have_is_missing_in_the_others(read_dicts):
    content = '{"meta": {"a": "x"}}\n{"meta": null}\n{"meta": "text"}\n{}\n'
    rows = read_dicts("a.jsonl", content, fields={"source": "meta.a"})
    assert [row["meta.a"] for row in rows] == ["x", None, None, None]


def test_the_classes_of_a_column_have_names():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = convert_dataset("here", Dataset.from_dict({"text": ["a"], "label": [1]}, features=features))
    assert (rows.labels, rows.take([0])) == ({"label": ("bad", "good")}, [{"text": "a", "label": 1}])


def test_columns_of_bytes_are_left_out_with_a_note():
    features = Features({"text": Value("string"), "picture": Image()})
    rows = convert_dataset("here", Dataset.from_dict({"text": ["a"], "picture": [None]}, features=features))
    assert rows.columns == ("text",)
    assert rows.notes == ("here: picture left out, because they hold bytes and not text.",)


def test_joined_rows_are_taken_in_the_order_that_is_asked_for():
    parts = [make_rows("a", [{"n": 0}, {"n": 1}]), make_rows("b", [{"n": 2}, {"m": 3}])]
    joined = join_rows("both", parts)
    assert joined.take([3, 0, 2, 0]) == [{"m": 3}, {"n": 0}, {"n": 2}, {"n": 0}]
    assert list(joined.iterate_column("n")) == [0, 1, 2, None]
