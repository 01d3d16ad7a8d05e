"""JSON in every way in which people write rows."""

import json

import pytest

from tuneoff.data.reading import json_values
from tuneoff.errors import DataError

ROWS = [{"source": "a", "target": "b"}, {"source": "c", "target": "d"}]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.dat"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(map(json.dumps, ROWS)),
        "\n\n".join(json.dumps(row, indent=2) for row in ROWS),
        " ".join(map(json.dumps, ROWS)),
        "\r".join(map(json.dumps, ROWS)),
        json.dumps({"source": ["a", "c"], "target": ["b", "d"]}),
        json.dumps({"version": 1, "license": "x", "data": ROWS}),
        json.dumps({"source": {"0": "a", "1": "c"}, "target": {"0": "b", "1": "d"}}),
        json.dumps({"0": ROWS[0], "1": ROWS[1]}),
        json.dumps({"paper-1": ROWS[0], "paper-2": ROWS[1]}),
        json.dumps({"columns": ["source", "target"], "index": [0, 1], "data": [["a", "b"], ["c", "d"]]}),
    ],
    ids=[
        "list", "indented list", "lines", "pretty-printed objects", "objects in one line", "old Mac lines",
        "object of lists", "list under a key", "pandas columns", "pandas index", "rows by id", "pandas split",
    ],
)  # fmt: skip
def test_the_rows_are_found(read_dicts, name, content):
    assert read_dicts(name, content) == ROWS


def test_the_recipe_names_the_key_of_the_list(read_dicts):
    content = json.dumps({"old": [{"source": "x"}], "data": {"items": ROWS}})
    assert read_dicts("a.json", content, records="data.items") == ROWS


def test_several_lists_of_rows_are_refused_with_their_keys(read_dicts):
    with pytest.raises(DataError, match=r"lists of rows under 'old' and 'new'\. Name one: data\.records: old"):
        read_dicts("a.json", json.dumps({"old": ROWS, "new": ROWS}))


def test_a_missing_key_is_refused_with_those_that_are_there(read_dicts):
    with pytest.raises(DataError, match=r"no key 'items' of data\.records: 'items'\. It has: 'data', 'version'"):
        read_dicts("a.json", json.dumps({"data": ROWS, "version": 1}), records="items")


def test_a_dict_of_dicts_that_may_be_read_both_ways_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"nothing tells rows from columns: 'x', 'y' are the outer keys"):
        read_dicts("a.json", json.dumps({"x": {"p": 1}, "y": {"p": 2}}))


def test_a_single_chat_is_one_row(read_dicts):
    chat = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    assert read_dicts("a.json", json.dumps(chat)) == [chat]


@pytest.mark.parametrize("value", [1, 0.5, True, None, ["a"], {"b": 1}, "007", "2020-01-01"])
def test_a_value_keeps_its_type(read_dicts, value):
    rows = [*ROWS, {"source": "e", "target": value}]
    assert read_dicts("a.jsonl", "\n".join(map(json.dumps, rows))) == rows


def test_a_key_that_stands_twice_in_an_object_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: not valid JSON \(the key 'source' is there twice\)"):
        read_dicts("a.jsonl", '{"source": "a"}\n{"source": "a", "source": "b"}\n')


def test_a_broken_line_is_named_even_if_the_next_ones_would_complete_it(read_dicts):
    lines = [json.dumps(row) for row in ROWS]
    with pytest.raises(DataError, match=r"a\.jsonl, line 2, column \d+: not valid JSON"):
        read_dicts("a.jsonl", "\n".join([lines[0], '{"source": "x", "target": [', *lines]))


def test_the_line_of_an_error_in_a_long_list_is_right(read_dicts, monkeypatch):
    monkeypatch.setattr(json_values, "BLOCK_CHARACTERS", 64)
    items = [json.dumps({"source": "x" * (i % 50), "n": i}) for i in range(100)]
    broken = "[\n" + ",\n".join([*items[:60], '{"source": oops}', *items[60:]]) + "\n]"
    with pytest.raises(DataError, match=r"line 62, column 12: not valid JSON"):
        read_dicts("a.json", broken)
    assert len(read_dicts("a.json", "[\n" + ",\n".join(items) + "\n]")) == 100


def test_numbers_are_whole_when_a_block_ends_inside_them(read_dicts, monkeypatch):
    monkeypatch.setattr(json_values, "BLOCK_CHARACTERS", 7)
    rows = [{"a": 123456789, "b": -1.5e10, "c": True, "d": "é😀"}] * 3
    assert read_dicts("a.json", json.dumps(rows)) == rows
    with pytest.raises(DataError, match=r"item 2 .*: a number"):
        read_dicts("a.json", json.dumps([{"a": 1}, 123456789]))


def test_something_after_the_list_is_refused(read_dicts):
    with pytest.raises(DataError, match="something comes after the list"):
        read_dicts("a.json", json.dumps(ROWS) + "x")


def test_deep_nesting_is_refused_and_does_not_crash(read_dicts):
    with pytest.raises(DataError, match="not valid JSON"):
        read_dicts("a.json", "[" * 100_000)
