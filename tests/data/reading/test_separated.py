"""Separated values: the separator, the header and the quotes are found, and text stays text."""

import csv
import io

import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuneoff.data.reading import read_rows
from tuneoff.errors import DataError

ROW = {"source": "a b", "target": "c"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(read_dicts, separator):
    content = f"source{separator}target\na b{separator}c\n"
    assert read_dicts("a.csv", content) == [ROW]


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_excels_line_with_the_separator_is_not_the_header(read_dicts, first):
    assert read_dicts("a.csv", first + "source;target\na b;c\n") == [ROW]


def test_a_declared_separator_may_be_unusual(read_dicts):
    assert read_dicts("a.csv", "sep=^\nsource^target\na b^c\n") == [ROW]


def test_the_separator_inside_texts_does_not_mislead(read_dicts):
    content = "source;target\n" + "one, two, three;four, five\n" * 9
    assert read_dicts("a.csv", content)[0] == {"source": "one, two, three", "target": "four, five"}


def test_spaces_around_names_are_no_part_of_them(read_dicts):
    assert read_dicts("a.csv", "source , target\na b,c\n") == [ROW]


def test_spaces_after_every_separator_are_no_part_of_the_values(read_dicts):
    content = 'source, target\n"a, b", "c, d"\ne, f\n'
    assert read_dicts("a.csv", content) == [{"source": "a, b", "target": "c, d"}, {"source": "e", "target": "f"}]


def test_indentation_at_the_beginning_of_a_value_stays(read_dicts):
    assert read_dicts("a.csv", "source,target\nf,  return x\ng,return y\n")[0]["target"] == "  return x"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(read_dicts, end):
    assert read_dicts("a.csv", end.join(["source,target", "a b,c", "d,e", ""])) == [ROW, {"source": "d", "target": "e"}]


def test_a_line_break_inside_quotes_stays_as_it_is(read_dicts):
    assert read_dicts("a.csv", 'source,target\r\n"a\r\nb",c\r\n')[0]["source"] == "a\r\nb"


@pytest.mark.parametrize("value", ["007", "2020-01-01", "NA", "nan", "None", "TRUE", "1e5", "-0", "1,5"])
def test_text_that_looks_like_another_type_stays_text(read_dicts, value):
    assert read_dicts("a.csv", f'source,target\na,"{value}"\n')[0]["target"] == value


def test_a_name_that_stands_twice_in_the_header_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"a\.csv has two columns 'target', the 2\. and the 3\. Rename one"):
        read_dicts("a.csv", "source,target, target \na,b,c\n")


def test_the_error_of_a_ragged_row_names_the_line_in_which_it_begins(read_dicts):
    with pytest.raises(DataError, match=r"a\.csv, line 4: 3 fields where the first line names 2 columns"):
        read_dicts("a.csv", 'source,target\n"a\nb",c\nd,"e\nf",g\n')


def test_a_column_without_a_name_is_left_out(read_dicts):
    assert read_dicts("a.csv", ",source,target\n0,a b,c\n") == [ROW]


def test_plain_quotes_in_a_file_with_tabs_do_not_join_rows(read_dicts):
    content = 'source\ttarget\n"Hello\tone\nhe said "two" and\t"three"\nbye"\tfour\n'
    assert [row["source"] for row in read_dicts("a.tsv", content)] == ['"Hello', 'he said "two" and', 'bye"']


def test_quotes_around_tabs_are_removed(read_dicts):
    content = 'source\ttarget\n"a\tb"\t"say ""c"""\n'
    assert read_dicts("a.tsv", content) == [{"source": "a\tb", "target": 'say "c"'}]


def test_a_file_with_one_column_is_a_table_if_its_name_says_so(read_dicts):
    assert read_dicts("a.csv", "text\nhello\nworld\n") == [{"text": "hello"}, {"text": "world"}]


def test_a_table_is_recognized_under_any_name(read_dicts):
    assert read_dicts("data.backup", "source,target\na b,c\n") == [ROW]
    assert read_dicts("data.txt", "Source,Target,id\na b,c,7\n")[0]["source"] == "a b"


def test_keys_without_effect_are_refused(read_dicts, tmp_path, options):
    with pytest.raises(DataError, match=r"separated by commas, utf-8, for which data\.records has no effect"):
        read_dicts("a.csv", "source,target\na b,c\n", records="rows")
    Dataset.from_dict({"source": ["a"], "target": ["b"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"is Parquet, for which data\.encoding has no effect"):
        read_rows(options(source="files", files=str(tmp_path / "a.parquet"), encoding="cp1252"))


TRICKY = [
    '"',
    'a "b" c',
    '"quoted"',
    "x\ny",
    "\r\n",
    " lead",
    "trail ",
    "sep=;",
    "{",
    "[1,2]",
    "a;b",
    "1,5",
    "\t",
    "“q”",
]
values = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.tuples(values, values, values), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    name=st.sampled_from(["a.csv", "a.tsv", "a.txt", "a"]),
)
def test_what_was_written_is_read_back(read_dicts, rows, separator, quoting, encoding, name):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, quoting=quoting)
    writer.writerows([("id", "source", "target"), *rows])
    read = read_dicts(name, file.getvalue().encode(encoding))
    assert [tuple(row.values()) for row in read] == rows
