import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuneoff.errors import DataError

CUT_GZIP = gzip.compress(b"source,target\na,b\n" * 99, mtime=0)[:-9]  # mtime: test ids must not change with the clock


@pytest.fixture
def read(read_dicts):
    """A function that writes a file, reads it in the format of its name, and returns two of its columns."""

    def _read(name, content, source="source", target="target"):
        format = name.removesuffix(".gz").rsplit(".", 1)[-1]
        rows = read_dicts(name, content, source=format, fields={"source": source, "target": target})
        return [(row.get(source), row.get(target)) for row in rows]

    return _read


def test_a_text_that_looks_like_a_number_or_a_null_stays_text(read):
    assert read("a.csv", "source,target\nNA,007\n") == [("NA", "007")]


def test_a_quoted_field_may_hold_separators_quotes_and_line_breaks(read):
    assert read("a.csv", 'source,target\n"a, ""b""\nc",d\n') == [('a, "b"\nc', "d")]


def test_tabs_separate_the_fields_of_tsv(read):
    assert read("a.tsv", "target\tsource\nb, c\ta\n") == [("a", "b, c")]


def test_a_field_may_be_longer_than_the_csv_modules_limit(read):
    long = "x" * 200_000
    assert read("a.csv", f"source,target\n{long},b\n") == [(long, "b")]


def test_other_columns_may_hold_the_text(read):
    assert read("a.csv", "id,article,summary\n1,a,b\n", source="article", target="summary") == [("a", "b")]


def test_a_byte_order_mark_is_not_part_of_the_first_column(read):
    assert read("a.csv", b"\xef\xbb\xbfsource,target\na,b\n") == [("a", "b")]


def test_a_gzipped_file_is_unpacked(read):
    assert read("a.jsonl.gz", gzip.compress(b'{"source": "a", "target": "b"}')) == [("a", "b")]


def test_a_date_in_json_lines_stays_text(read):
    assert read("a.jsonl", '{"source": "a", "target": "2020-01-01"}\n') == [("a", "2020-01-01")]


def test_a_number_in_json_lines_stays_a_number(read):
    assert read("a.jsonl", '{"source": "a", "target": 5}\n\n{"source": "b"}') == [("a", 5), ("b", None)]


@pytest.mark.parametrize(
    "content",
    [
        '[{"source": "a", "target": "b"},\n {"source": "c", "target": "d"}]',
        '{"source": ["a", "c"],\n "target": ["b", "d"]}',
        '{"source": "a", "target": "b"}\n{"source": "c", "target": "d"}\n',
    ],
    ids=["list of objects", "object of lists", "lines"],
)
def test_json_may_be_a_list_an_object_of_lists_or_lines(read, content):
    assert read("a.json", content) == [("a", "b"), ("c", "d")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_json_lines_are_read_as_they_were_written(read, pairs):
    content = "\n".join(json.dumps({"source": s, "target": t}) for s, t in pairs)
    assert read("a.jsonl", content) == pairs


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "source,target\na,b,c\n", "line 2: 3 fields where the first line names 2"),
        ("a.csv", 'source,target\na,b\n"a,b\n', r"line 3: unexpected end of data. Put text"),
        ("a.csv", "", "is empty"),
        ("a.jsonl", '{"source": "a", "target": "b"}\n{"source": \n', "line 2, column .*: not valid JSON"),
        ("a.jsonl", '["a", "b"]\n', "item 1: text, not an object"),
        ("a.json", '[{"source": "a"\n,]', "line 2, column .*: not valid JSON"),
        ("a.json", '[{"source": "a", "target": "b"}, 3]', r"item 2 \(line 1\): a number, not an object"),
        ("a.json", '{"source": ["a"], "target": []}', "lists 1 of 'source' and 0 of 'target'"),
        ("a.json", "3", "contains a number, not an object"),
        ("a.csv.gz", CUT_GZIP, "cannot be read: .* file is complete"),
    ],
)
def test_an_error_names_its_place_and_its_cure(read, name, content, message):
    with pytest.raises(DataError, match=rf"(?s){name}.*{message}"):
        read(name, content)
